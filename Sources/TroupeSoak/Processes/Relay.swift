import Glibc
import Synchronization
import TroupeTesting

/// Stands between the processes of a soak and its exchange, so that their links can be cut: a Unix socket whose connections
/// are passed on to another. It tells processes apart by the credentials of their connections (`SO_PEERCRED`), so that all
/// use one address, and needs no privileges. One thread moves the bytes.
final class Relay: Sendable {
    enum Harm: Sendable {
        /// Connections are closed, and new ones too.
        case cut
        /// Nothing is read or written; it all comes when this is over.
        case blackHole
    }

    private struct Link {
        let client: Int32
        let server: Int32
        let pid: Int32
        /// To the server, and to the client: read here and not written there.
        var up: [UInt8] = []
        var down: [UInt8] = []
        /// One side has closed; the other one gets what is left.
        var isEnding = false
        var isOver = false
    }

    private struct State {
        var harms: [Int32: (harm: Harm, until: ContinuousClock.Instant)] = [:]
        var isStopped = false
    }

    private let listener: Int32
    private let target: String
    private let state = Mutex(State())

    private static let bufferSizeBytesMax = 256 << 10
    private static let pollMilliseconds: Int32 = 20

    init(from path: String, to target: String) throws {
        self.target = target
        unlink(path)
        listener = try Self.unixSocket(flags: Int32(SOCK_NONBLOCK.rawValue))
        guard Self.withAddress(path, { bind(listener, $0, $1) }) == 0, listen(listener, 128) == 0 else {
            close(listener)
            throw ChildProcess.Failure(description: "the relay cannot listen at \(path): error \(errno)")
        }
    }

    /// Begins to pass bytes on.
    func start() {
        // A thread of its own, since it blocks: it ends with stop().
        detach { [self] in run() }
    }

    func stop() { state.withLock { $0.isStopped = true } }

    /// Harms the links of a process for that long.
    func harm(_ pid: Int32, _ harm: Harm, for duration: Duration) {
        state.withLock { $0.harms[pid] = (harm, .now + duration) }
    }

    // MARK: The thread

    private func run() {
        var links: [Link] = []
        while true {
            let now = ContinuousClock.now
            let (harms, isStopped) = state.withLock { state in
                state.harms = state.harms.filter { $0.value.until > now }
                return (state.harms.mapValues(\.harm), state.isStopped)
            }
            for index in links.indices where harms[links[index].pid] == .cut { links[index].isOver = true }
            if isStopped { for index in links.indices { links[index].isOver = true } }
            for link in links where link.isOver {
                close(link.client)
                close(link.server)
            }
            links.removeAll(where: \.isOver)
            if isStopped { break }
            step(&links, harms)
        }
        close(listener)
    }

    private func step(_ links: inout [Link], _ harms: [Int32: Harm]) {
        var polled = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        let live = links.indices.filter { harms[links[$0].pid] == nil }
        for index in live {
            polled.append(Self.interest(links[index].client, links[index].up, links[index].down))
            polled.append(Self.interest(links[index].server, links[index].down, links[index].up))
        }
        guard poll(&polled, nfds_t(polled.count), Self.pollMilliseconds) > 0 else { return }
        for (place, index) in live.enumerated() {
            move(&links[index], polled[1 + 2 * place].revents, polled[2 + 2 * place].revents)
        }
        if polled[0].revents != 0 { accept(&links, harms) }
    }

    private static func interest(_ descriptor: Int32, _ read: [UInt8], _ unwritten: [UInt8]) -> pollfd {
        var events: Int32 = 0
        if read.count < bufferSizeBytesMax { events |= POLLIN }
        if !unwritten.isEmpty { events |= POLLOUT }
        return pollfd(fd: descriptor, events: Int16(events), revents: 0)
    }

    private func accept(_ links: inout [Link], _ harms: [Int32: Harm]) {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { return }
            guard fcntl(client, F_SETFD, FD_CLOEXEC) == 0, fcntl(client, F_SETFL, O_NONBLOCK) == 0,
                let pid = Self.peer(of: client), harms[pid] != .cut, let server = connected()
            else {
                close(client)
                continue
            }
            links.append(Link(client: client, server: server, pid: pid))
        }
    }

    /// The process at the other end: the first of the three numbers of `struct ucred`, which Swift does not see.
    private static func peer(of descriptor: Int32) -> Int32? {
        var credentials: [Int32] = [0, 0, 0]
        var size = socklen_t(credentials.count * MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else { return nil }
        return credentials[0]
    }

    private func connected() -> Int32? {
        guard let server = try? Self.unixSocket(flags: 0) else { return nil }
        guard Self.withAddress(target, { connect(server, $0, $1) }) == 0,
            fcntl(server, F_SETFL, O_NONBLOCK) == 0
        else {
            close(server)
            return nil
        }
        return server
    }

    private func move(_ link: inout Link, _ client: Int16, _ server: Int16) {
        if client != 0 { Self.read(link.client, into: &link.up, &link.isEnding) }
        if server != 0 { Self.read(link.server, into: &link.down, &link.isEnding) }
        let isWritten = Self.write(&link.up, to: link.server) && Self.write(&link.down, to: link.client)
        link.isOver = !isWritten || (link.isEnding && link.up.isEmpty && link.down.isEmpty)
    }

    private static func read(_ descriptor: Int32, into buffer: inout [UInt8], _ isEnding: inout Bool) {
        guard buffer.count < bufferSizeBytesMax else { return }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        if count > 0 {
            buffer.append(contentsOf: bytes[..<count])
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            isEnding = true
        }
    }

    /// False if the other side takes no more.
    private static func write(_ buffer: inout [UInt8], to descriptor: Int32) -> Bool {
        guard !buffer.isEmpty else { return true }
        let count = send(
            descriptor, buffer, buffer.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        guard count >= 0 else { return errno == EAGAIN || errno == EINTR }
        buffer.removeFirst(count)
        return true
    }

    // MARK: Sockets

    private static func unixSocket(flags: Int32) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | flags, 0)
        guard descriptor >= 0 else {
            throw ChildProcess.Failure(description: "no socket for the relay: error \(errno)")
        }
        return descriptor
    }

    private static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix(107)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
