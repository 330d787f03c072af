import TroupeCore

#if canImport(Glibc)
    import Glibc
#endif

/// A Unix stream socket with one owner, which closes it.
final class DirectSocket: Sendable {
    private let number: Int32

    private init(owning number: Int32) { self.number = number }

    deinit { _ = Glibc.close(number) }

    /// The longest path that an address holds.
    static let pathSizeBytesMax = 107

    private static func make() -> DirectSocket? {
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        return number >= 0 ? DirectSocket(owning: number) : nil
    }

    /// Connects at once or not at all; nil if nobody listens there.
    static func connect(to path: String) -> DirectSocket? {
        guard let socket = make() else { return nil }
        // Else it would wait while the listener's queue is full.
        _ = fcntl(socket.number, F_SETFL, O_NONBLOCK)
        guard withAddress(path, { Glibc.connect(socket.number, $0, $1) }) == 0 else { return nil }
        _ = fcntl(socket.number, F_SETFL, 0)
        return socket
    }

    static func listen(at path: String) -> DirectSocket? {
        guard let socket = make(), withAddress(path, { bind(socket.number, $0, $1) }) == 0,
            Glibc.listen(socket.number, 64) == 0
        else { return nil }
        return socket
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard (1...pathSizeBytesMax).contains(bytes.count), !bytes.contains(0) else { return -1 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    enum Accepted {
        case connection(DirectSocket)
        /// Not now: the process has no descriptors left, or the caller went.
        case nothing
        case closed
    }

    func accept() -> Accepted {
        let accepted = Glibc.accept(number, nil, nil)
        if accepted >= 0 {
            _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
            return .connection(DirectSocket(owning: accepted))
        }
        switch errno {
        case EINTR, ECONNABORTED: return .nothing
        case EMFILE, ENFILE, ENOBUFS, ENOMEM:
            usleep(100_000)
            return .nothing
        default: return .closed
        }
    }

    /// Whether the process at the other end belongs to the same user as this one.
    var isOfSameUser: Bool {
        struct Credentials {
            var process: Int32 = 0
            var user: UInt32 = .max
            var group: UInt32 = .max
        }
        var credentials = Credentials()
        var size = socklen_t(MemoryLayout<Credentials>.size)
        let result = getsockopt(number, SOL_SOCKET, SO_PEERCRED, &credentials, &size)
        return result == 0 && credentials.user == geteuid()
    }

    /// Ends a wait in ``receive(into:)`` after that long; zero for never.
    func setPatience(_ duration: Duration) {
        var time = timeval(tv_sec: Int(duration.components.seconds), tv_usec: 0)
        _ = setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Waits for bytes; nil at the end, or when the other side keeps it waiting for too long.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        while true {
            let count = recv(number, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return count }
            guard count < 0, errno == EINTR else { return nil }
        }
    }

    /// Sends what goes without waiting; nil if the connection is over.
    func send(_ bytes: ArraySlice<UInt8>) -> Int? {
        while true {
            let count = bytes.withUnsafeBytes {
                Glibc.send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count >= 0 { return count }
            switch errno {
            case EINTR: continue
            case EAGAIN: return 0
            default: return nil
            }
        }
    }

    /// Waits until something can be sent, or the connection is over.
    func waitUntilWritable() {
        var waiting = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        _ = poll(&waiting, 1, 1000)
    }

    /// Ends the connection, or the listening; whoever waits in it comes back.
    func shutDown() { _ = shutdown(number, Int32(SHUT_RDWR)) }
}
