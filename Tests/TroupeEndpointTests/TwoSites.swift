import Distributed
import Logging
import Synchronization
import Troupe
import TroupeBroker
import TroupeCore
import TroupeRuntime
import TroupeStore
import TroupeTesting

@testable import TroupeEndpoint

/// An actor that notes the order of what it is told, and can call others.
distributed actor Notebook: StatefulActor {
    struct State: ActorState {
        var entries: [Int] = []
    }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func note(_ entry: Int) -> Int {
        state.entries.append(entry)
        return state.entries.count
    }
    distributed func entries() -> [Int] { state.entries }
    distributed func fail() throws { throw Unwilling(reason: "not today") }
    /// Calls another one, of any site, from inside a turn.
    distributed func ask(_ other: Notebook) async throws -> [Int] { try await other.entries() }
    /// Tells another one, then calls it: the call comes behind.
    distributed func tellAndAsk(_ other: Notebook, _ entry: Int) async throws -> Int {
        try await actorSystem.tell(other) { try await $0.note(entry) }
        return entry
    }
    /// Notes what a call comes to.
    distributed func noteLater(_ later: Proxy<Int>) async throws -> Int {
        let entry = try await later.resolve()
        state.entries.append(entry)
        return entry
    }
    distributed func askBack(_ other: Notebook, _ me: Notebook) async throws -> [Int] { try await other.ask(me) }
}

struct Unwilling: Error, Codable, Equatable { var reason: String }

/// One site of a test: an exchange of its own, a worker, an endpoint and a caller.
final class Site: Sendable {
    let name: String
    let key = EndpointKey()
    let shards: [MemoryShard]
    let exchange: Exchange
    /// Where its objects, its endpoint's socket and copies lie; nil for a site without.
    let files: SiteFiles?
    private let tasks: Tasks

    init(
        _ name: String, shardCount: Int = 1, clock: any ExchangeClock = SystemClock(), files: SiteFiles? = nil
    ) {
        self.name = name
        self.files = files
        shards = (0..<shardCount).map {
            MemoryShard(place: ShardPlace(index: $0, count: shardCount), clock: clock)
        }
        exchange = Exchange(shards: shards, address: "memory: \(name)")
        tasks = Tasks()
    }

    /// Serves until the returned task is cancelled.
    func startEndpoint(
        trusting peers: [TrustedPeer], listens: Bool = true, port address: String = "127.0.0.1:0",
        over other: Exchange? = nil, logger: Logger = .quiet,
        configure: (inout Endpoint.Configuration) throws -> Void = { _ in }
    ) async throws -> RunningEndpoint {
        var trust = TrustFile()
        for peer in peers { trust.set(peer) }
        var configuration = Endpoint.Configuration(site: name, key: key, trust: trust)
        if listens { configuration.listen = [address] }
        try files?.configure(&configuration)
        try configure(&configuration)
        let endpoint = try await Endpoint(configuration, exchange: other ?? exchange, logger: logger)
        let (stream, continuation) = AsyncStream<EndpointStatus>.makeStream()
        // Unstructured: the test ends it.
        let task = Task {
            defer { continuation.finish() }
            try await endpoint.run { continuation.yield($0) }
        }
        tasks.add(task)
        var statuses = stream.makeAsyncIterator()
        guard let status = await statuses.next() else {
            try await task.value
            throw EndpointError(.closed, "the endpoint did not start")
        }
        return RunningEndpoint(endpoint: endpoint, status: status, task: task)
    }

    func trusted(at address: String? = nil, operations: SitePolicy.Operations = .operate) -> TrustedPeer {
        var peer = TrustedPeer(site: name, id: key.id, addresses: address.map { [$0] } ?? [])
        peer.policy.operations = operations
        return peer
    }

    func stat(_ actor: ActorID) async throws -> ActorStat {
        let answer = try await exchange.shard(of: actor).perform(.stat(actor))
        guard case .stat(let stat) = answer else { throw answer.unexpected("stat") }
        return stat
    }

    /// Of the first shard.
    func shardStat() async throws -> ShardStat {
        let answer = try await shards[0].perform(.shardStat)
        guard case .shardStat(let stat) = answer else { throw answer.unexpected("shardStat") }
        return stat
    }

    func join() async throws -> Troupe {
        var configuration = TroupeConfiguration()
        configuration.logger = .quiet
        try files?.configure(&configuration, exchange)
        return try await Troupe.joining(exchange, configuration: configuration)
    }

    func startWorker() async throws -> Task<Void, any Error> {
        let worker = try Worker(
            try await join(), WorkerConfiguration(types: [Notebook.self, Warehouse.self, Clockwork.self]))
        let task = Task { try await worker.run() }
        tasks.add(task)
        return task
    }

    deinit { tasks.cancel() }
}

/// An endpoint, as it was when it began to serve.
struct RunningEndpoint: Sendable {
    let endpoint: Endpoint
    let status: EndpointStatus
    let task: Task<Void, any Error>

    /// Where it listens.
    var address: String { status.listens[0] }

    func stop() async {
        task.cancel()
        _ = await task.result
    }
}

extension Endpoint.Configuration {
    /// Lets it be found at a relay that is on this machine.
    mutating func meet(at url: RelayURL) {
        var client = RelayClientConfiguration(key: key, site: site, relays: [url])
        client.proxy = .none
        client.retry = .milliseconds(20)...Duration.milliseconds(200)
        relay = client
        options.retryPauseMax = .milliseconds(500)
    }
}

extension Logger {
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

private final class Tasks: Sendable {
    private let all = Mutex<[Task<Void, any Error>]>([])
    func add(_ task: Task<Void, any Error>) { all.withLock { $0.append(task) } }
    func cancel() { for task in all.withLock({ $0 }) { task.cancel() } }
}
