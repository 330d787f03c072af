import Glibc
import TroupeTesting

/// Where a relay listens, and whereto it passes on.
enum RelayAddress: Sendable {
    case unix(String)
    /// A port of the loopback interface.
    case port(Int)

    /// A socket that listens there.
    func listening() throws -> Int32 {
        if case .unix(let path) = self { unlink(path) }
        let descriptor = try socket(flags: Int32(SOCK_NONBLOCK.rawValue))
        var isOn: Int32 = 1
        if case .port = self {
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &isOn, socklen_t(MemoryLayout<Int32>.size))
        }
        guard withAddress({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, 128) == 0 else {
            let code = errno
            close(descriptor)
            throw ChildProcess.Failure(description: "the relay cannot listen at \(self): error \(code)")
        }
        return descriptor
    }

    /// A socket that is connected there, and does not block; nil if nobody listens.
    func connected() -> Int32? {
        guard let descriptor = try? socket(flags: 0) else { return nil }
        guard withAddress({ connect(descriptor, $0, $1) }) == 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// The process at the other end of a connection: the first of the three numbers of `struct ucred`, which Swift does not
    /// see. A port does not know it: nil is everybody there.
    func peer(of descriptor: Int32) -> Int32? {
        guard case .unix = self else { return nil }
        var credentials: [Int32] = [0, 0, 0]
        var size = socklen_t(credentials.count * MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else { return nil }
        return credentials[0]
    }

    private func socket(flags: Int32) throws -> Int32 {
        let family =
            switch self {
            case .unix: AF_UNIX
            case .port: AF_INET
            }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | flags
        let descriptor = Glibc.socket(family, type, 0)
        guard descriptor >= 0 else {
            throw ChildProcess.Failure(description: "no socket for the relay: error \(errno)")
        }
        return descriptor
    }

    private func withAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        switch self {
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix(107)) }
            return Self.pass(&address, body)
        case .port(let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
            return Self.pass(&address, body)
        }
    }

    private static func pass<Address>(
        _ address: inout Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}
