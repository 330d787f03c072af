import ArgumentParser
import Synchronization
import TroupeCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Run an exchange and a pool of workers in one go.",
        discussion: """
            Starts the broker of the URL (a Redis must be running already), then the workers, and keeps both until SIGINT \
            or SIGTERM. A worker that crashes is started again, with growing waits. At the end workers get SIGTERM and, \
            after --stop-timeout, SIGKILL.

            --worker is an executable of yours that has Troupe's worker command; it is started as \
            MY-APP worker --pool POOL …, with the URL in its environment as TROUPE_EXCHANGE.

            EXAMPLES
              troupe up --workers 2 --worker ./my-app
              troupe up -x ipc:///tmp/troupe.sock --journal ./journal --workers 4 --worker ./my-app --pool gpu
              troupe up --worker ./my-app -- --max-activations 100
            """)

    @Option(help: ArgumentHelp("Your executable that hosts the actors.", valueName: "path")) var worker: String?
    @Option(help: "How many workers; none without --worker.") var workers = 1
    @Option(help: "A pool that the workers serve; may be repeated.") var pool: [String] = []
    @Option(help: "What workers get to finish, before they are killed.") var stopTimeout = DurationText(.seconds(15))
    @OptionGroup var journal: JournalOptionsGroup
    @OptionGroup var options: SharedOptions
    @Argument(parsing: .postTerminator, help: "Further arguments for the workers.") var workerArguments: [String] = []

    func validate() throws {
        guard (1...1000).contains(workers) else { throw ValidationError("--workers takes 1 to 1000") }
    }

    func run() async throws {
        let url = options.url()
        if let worker, access(worker, X_OK) != 0 {
            throw Failure(.usage, "'\(worker)' is not an executable file; --worker takes the path of yours")
        }
        try await Foreground.run { try await serve(url) }
    }

    /// Brings up the exchange, says so, and runs the workers until cancelled.
    private func serve(_ url: String) async throws {
        switch ExchangeKind(url: url) {
        case .broker:
            try await serveWithBroker(journal.configuration(listen: [url]))
        case .opened:
            let exchange = try await openExchange(url: url)
            // The address, and not the URL: that may hold a password.
            let readiness = BrokerReadiness(url: exchange.address, durability: exchange.durability)
            let outcome = await Result(catching: { try await announceAndWork(readiness) })
            for shard in exchange.shards { await shard.close() }
            try outcome.get()
        case .processLocal:
            throw Failure(
                .usage,
                "\(url) lives in one process, where no worker could reach it; use embedded:, ipc:///path or another URL"
            )
        }
    }

    /// The workers end before the broker does, so that they can give back what they hold.
    private func serveWithBroker(_ configuration: BrokerConfiguration) async throws {
        let (ready, readiness) = AsyncStream.makeStream(of: BrokerReadiness.self)
        // Unstructured: it outlives this task's cancellation by the time that the workers take, and is cancelled below.
        let broker = Task {
            defer { readiness.finish() }
            try await runBroker(configuration) { readiness.yield($0) }
        }
        var outcome = Result<Void, any Error>.success(())
        if let first = await ready.first(where: { _ in true }) {
            outcome = await Result(catching: { try await workUnless(brokerEnds: broker, first) })
        }
        let wasAskedTo = Task.isCancelled
        broker.cancel()
        do {
            try await broker.value
        } catch is CancellationError {
            // As asked for.
        }
        try outcome.get()
        guard wasAskedTo else { throw Failure(.unavailable, "the broker ended by itself, and the workers with it") }
    }

    /// Works until cancelled, or until the broker ends by itself.
    private func workUnless(brokerEnds broker: Task<Void, any Error>, _ readiness: BrokerReadiness) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await announceAndWork(readiness) }
            group.addTask { await TaskEnd.of(broker) }
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func announceAndWork(_ readiness: BrokerReadiness) async throws {
        let terminal = Terminal.standard()
        try ReadinessRow(readiness).print(to: terminal, json: options.json)
        guard let worker else {
            terminal.note("no --worker was given: this runs the exchange only")
            try await TaskEnd.ofThisTask()
            return
        }
        let pools = pool.isEmpty ? ["default"] : pool
        let processes = WorkerProcesses(
            executable: worker,
            arguments: WorkerProcesses.arguments(pools: pools, extra: workerArguments),
            environment: ["TROUPE_EXCHANGE": options.url()], count: workers, stopTimeout: stopTimeout.duration,
            terminal: terminal)
        try await processes.run()
    }
}

/// What a URL needs to be up.
enum ExchangeKind: Equatable {
    /// A broker that listens there.
    case broker
    /// Somebody else's server, or one that starts with the first who opens it.
    case opened
    /// Nothing that other processes could reach.
    case processLocal

    /// A URL without what may be secret in it: user, password and options.
    static func shown(_ url: String) -> String {
        let head = url.prefix { $0 != "?" }
        guard let at = head.lastIndex(of: "@"), let slashes = head.firstRange(of: "://") else { return String(head) }
        return "\(head[..<slashes.upperBound])…\(head[at...])"
    }

    init(url: String) {
        switch url.prefix(while: { $0 != ":" }) {
        case "ipc", "tcp", "tls+tcp", "ws", "wss": self = .broker
        case "memory", "inproc": self = .processLocal
        default: self = .opened
        }
    }
}

/// Waits for ends.
enum TaskEnd {
    /// Returns when the other task has ended, or this one is cancelled.
    static func of(_ task: Task<Void, any Error>) async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        // Unstructured: it only watches, and ends with the task.
        Task {
            _ = await task.result
            end.finish()
        }
        for await _ in ends {}
    }

    /// Returns when this task is cancelled.
    static func ofThisTask() async throws {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        for await _ in ends {}
        end.finish()
    }
}

extension Result where Success == Void, Failure == any Error {
    init(catching body: () async throws -> Void) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
