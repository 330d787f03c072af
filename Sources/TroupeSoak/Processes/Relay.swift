import Glibc
import Synchronization
import TroupeTesting

/// Stands between the processes of a soak and its exchange, or between two endpoints, so that their links can be cut: a socket
/// whose connections are passed on to another. At a Unix socket it tells processes apart by the credentials of their connections
/// (`SO_PEERCRED`), so that all use one address, and needs no privileges. One thread moves the bytes.
final class Relay: Sendable {
    enum Harm: Hashable, Sendable {
        /// Connections are closed, and new ones too.
        case cut
        /// Nothing is read or written; it all comes when this is over.
        case blackHole
        /// Few bytes are passed on at a time, each way.
        case throttle
    }

    fileprivate struct Link {
        let client: Int32
        let server: Int32
        /// Nil where processes cannot be told apart.
        let pid: Int32?
        /// To the server, and to the client: read here and not written there.
        var up: [UInt8] = []
        var down: [UInt8] = []
        /// How many bytes may be passed on by now, in both directions, while it is throttled.
        var allowance = 0
        var refilledAt = ContinuousClock.now
        /// One side has closed; the other one gets what is left.
        var isEnding = false
        var isOver = false
    }

    private struct State {
        var harms: [Int32?: [Harm: ContinuousClock.Instant]] = [:]
        var isStopped = false
    }

    private let listener: Int32
    private let address: RelayAddress
    private let target: RelayAddress
    private let state = Mutex(State())

    private static let bufferSizeBytesMax = 256 << 10
    private static let pollMilliseconds: Int32 = 20
    fileprivate static let throttledBytesASecond = 64 << 10
    /// A throttled link waits until it may pass on so many.
    private static let throttledBytesAtOnce = 1 << 10

    /// - Parameters:
    ///   - address: where it listens.
    ///   - target: whereto each connection is passed on.
    init(from address: RelayAddress, to target: RelayAddress) throws {
        self.address = address
        self.target = target
        listener = try address.listening()
    }

    /// Begins to pass bytes on.
    func start() {
        // A thread of its own, since it blocks: it ends with stop().
        detach { [self] in run() }
    }

    func stop() { state.withLock { $0.isStopped = true } }

    /// Harms the links of a process for that long; several harms may be on at a time.
    ///
    /// - Parameter pid: nil at an address where processes cannot be told apart.
    func harm(_ pid: Int32?, _ harm: Harm, for duration: Duration) {
        state.withLock { state in
            let end = ContinuousClock.now + duration
            state.harms[pid, default: [:]][harm] = max(end, state.harms[pid]?[harm] ?? end)
        }
    }

    /// Ends all harms.
    func mend() { state.withLock { $0.harms = [:] } }

    // MARK: The thread

    private func run() {
        var links: [Link] = []
        while true {
            let now = ContinuousClock.now
            let (harms, isStopped) = state.withLock { state in
                state.harms = state.harms.mapValues { $0.filter { $0.value > now } }.filter { !$0.value.isEmpty }
                return (state.harms.mapValues { Set($0.keys) }, state.isStopped)
            }
            for index in links.indices where harms[links[index].pid]?.contains(.cut) == true {
                links[index].isOver = true
            }
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

    private func step(_ links: inout [Link], _ harms: [Int32?: Set<Harm>]) {
        var polled = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        let now = ContinuousClock.now
        let live = links.indices.filter { index in
            let harms = harms[links[index].pid] ?? []
            if harms.contains(.throttle) { links[index].refill(now) } else { links[index].allowance = .max }
            return !harms.contains(.blackHole) && links[index].allowance >= Self.throttledBytesAtOnce
        }
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

    private func accept(_ links: inout [Link], _ harms: [Int32?: Set<Harm>]) {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { return }
            guard fcntl(client, F_SETFD, FD_CLOEXEC) == 0, fcntl(client, F_SETFL, O_NONBLOCK) == 0,
                case let pid = address.peer(of: client), harms[pid]?.contains(.cut) != true,
                let server = target.connected()
            else {
                close(client)
                continue
            }
            links.append(Link(client: client, server: server, pid: pid))
        }
    }

    private func move(_ link: inout Link, _ client: Int16, _ server: Int16) {
        if client != 0 { Self.read(link.client, into: &link.up, &link.isEnding) }
        if server != 0 { Self.read(link.server, into: &link.down, &link.isEnding) }
        let isWritten =
            Self.write(&link.up, to: link.server, &link.allowance)
            && Self.write(&link.down, to: link.client, &link.allowance)
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
    private static func write(_ buffer: inout [UInt8], to descriptor: Int32, _ allowance: inout Int) -> Bool {
        let most = min(buffer.count, allowance)
        guard most > 0 else { return true }
        let count = send(descriptor, buffer, most, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        guard count >= 0 else { return errno == EAGAIN || errno == EINTR }
        buffer.removeFirst(count)
        allowance -= count
        return true
    }
}

extension Relay.Link {
    /// What a throttled link may pass on grows with the time, up to that of a tenth of a second.
    fileprivate mutating func refill(_ now: ContinuousClock.Instant) {
        let most = Relay.throttledBytesASecond / 10
        let new = Int((now - refilledAt) / .seconds(1) * Double(Relay.throttledBytesASecond))
        // A part of a byte is not lost: it is counted the next time.
        guard new > 0 || allowance > most else { return }
        allowance = min(most, min(allowance, most) + new)
        refilledAt = now
    }
}
