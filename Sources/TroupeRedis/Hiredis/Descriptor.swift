internal import Glibc

/// A file descriptor with one owner, which closes it.
struct Descriptor: ~Copyable, Sendable {
    let number: Int32

    init(owning number: Int32) { self.number = number }

    deinit { close(number) }
}

/// The outcome of moving bytes through a non-blocking socket.
enum Transfer {
    case moved(Int)
    case wouldBlock
    case ended
    case failed(errno: Int32)
}

extension Descriptor {
    /// Sends without raising SIGPIPE. `moreFollow` spares the network a packet that is not full.
    borrowing func send(_ bytes: ArraySlice<UInt8>, moreFollow: Bool) -> Transfer {
        unsafe bytes.withUnsafeBytes { unsafe send($0, moreFollow: moreFollow) }
    }

    borrowing func send(_ bytes: UnsafeRawBufferPointer, moreFollow: Bool) -> Transfer {
        let flags = Int32(MSG_NOSIGNAL) | (moreFollow ? Int32(MSG_MORE) : 0)
        while true {
            let count = unsafe Glibc.send(number, bytes.baseAddress, bytes.count, flags)
            if count >= 0 { return .moved(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let code: return .failed(errno: code)
            }
        }
    }

    borrowing func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        while true {
            let count = unsafe Glibc.recv(number, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .moved(count) }
            if count == 0 { return .ended }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let code: return .failed(errno: code)
            }
        }
    }

    /// The error a connection attempt ended with; 0 when it succeeded.
    borrowing func connectionError() -> Int32 {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(number, SOL_SOCKET, SO_ERROR, &code, &size)
        return result == 0 ? code : errno
    }

    /// A non-blocking socket whose connection to `address` is under way or made, or the system's error number.
    static func connecting(to address: SystemAddress) -> Result<Int32, SystemFailure> {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let number = socket(address.family, type, 0)
        guard number >= 0 else { return .failure(SystemFailure(errno: errno)) }
        if address.family != AF_UNIX {
            set(number, Int32(IPPROTO_TCP), TCP_NODELAY)
            set(number, SOL_SOCKET, SO_KEEPALIVE)
        }
        let result = unsafe address.bytes.withUnsafeBytes { raw in
            let pointer = unsafe raw.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return unsafe connect(number, pointer, socklen_t(raw.count))
        }
        if result == 0 || errno == EINPROGRESS || errno == EINTR { return .success(number) }
        let failure = SystemFailure(errno: errno)
        close(number)
        return .failure(failure)
    }

    private static func set(_ number: Int32, _ level: Int32, _ option: Int32) {
        var on: Int32 = 1
        _ = unsafe setsockopt(number, level, option, &on, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// An error number of the system with its text.
struct SystemFailure: Error {
    let errno: Int32

    var text: String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard unsafe strerror_r(errno, &buffer, buffer.count) == 0 else { return "error \(errno)" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
