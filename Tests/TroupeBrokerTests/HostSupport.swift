import Glibc
import Logging
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// A broker of this process and a shard that reaches it over a socket; both end with ``close()``.
final class HostedShard: ShardLayer {
    enum Transport: String, CaseIterable, Sendable {
        case inproc, ipc
    }

    /// A transport and a durability class, as an argument of a test.
    struct Kind: Sendable, CustomTestStringConvertible {
        var transport: Transport
        var durability: DurabilityClass
        var testDescription: String { "\(durability.rawValue) over \(transport.rawValue)" }

        static let all = DurabilityClass.allCases.flatMap { durability in
            Transport.allCases.map { Kind(transport: $0, durability: durability) }
        }
    }

    let server: BrokerServer
    let address: NNGAddress
    let base: BrokerShard

    /// Serves the journal of the directory, which is made if it is not there.
    static func open(
        _ scratch: Scratch, _ kind: Kind, clock: any ExchangeClock, limits: ShardLimits = .init(),
        place: ShardPlace = .init(), heldMax: Int = 2048, logger: Logger = quiet
    ) async throws -> HostedShard {
        let journal = try Journal.open(
            scratch.file("journal.sqlite"), options: JournalOptions(durability: kind.durability))
        var options = BrokerServer.Options()
        options.ticksItself = false
        options.countsFromClock = false
        options.heldMax = heldMax
        options.place = place
        let server = try BrokerServer(
            journal: journal, tokens: [nil], limits: limits, clock: clock, logger: logger, options: options)
        let url =
            switch kind.transport {
            case .inproc: "inproc://" + scratch.path
            case .ipc: "ipc://" + scratch.file("s")
            }
        let address = NNGAddress(url: url)
        _ = try server.listen([address])
        let shard = try await BrokerShard(FixedDialler(address: address, token: nil), limits: .init())
        return HostedShard(server, shard, address)
    }

    private init(_ server: BrokerServer, _ shard: BrokerShard, _ address: NNGAddress) {
        self.server = server
        base = shard
        self.address = address
    }

    func close() async {
        await base.close()
        await BrokerShard.offPool { [server] in server.close() }
    }
}

/// Says nothing.
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension Envelope {
    static func test(
        _ id: String, to actor: ActorID, _ kind: Kind = .request, from client: ClientID = ClientID(unchecked: "c"),
        arguments: [UInt8] = [0x81, 1]
    ) -> Envelope {
        Envelope(
            id: CallID(unchecked: id), kind: kind, target: actor, sender: client.text,
            replyTo: kind == .request ? client : nil, method: "add(_:)", arguments: arguments,
            sentAt: Timestamp(milliseconds: 1))
    }
}

/// The error that the body throws.
func exchangeFailure<T>(_ body: () async throws(ExchangeError) -> T) async -> ExchangeError? {
    do throws(ExchangeError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}

/// A connection to a Unix socket, as any program could make one.
final class Stranger: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix(107)) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        try #require(connected == 0)
    }

    /// Says something, and listens until it is hung up on or half a second is over.
    func say(_ bytes: [UInt8]) {
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        var answer = [UInt8](repeating: 0, count: 512)
        var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&waited, 1, 500) == 1, recv(descriptor, &answer, answer.count, 0) > 0 {}
    }

    deinit { close(descriptor) }
}
