public import ArgumentParser
import TroupeCore

/// The options of a worker process, as `my-app worker` takes them.
public struct WorkerOptions: ParsableArguments {
    @OptionGroup public var exchange: ExchangeOptions

    @Option(help: "A pool whose actors this worker takes; may be given several times.")
    public var pool: [String] = ["default"]

    @Option(help: "Actors that it holds at the same time at the most.")
    public var maxActivations = 10_000

    @Option(help: "How long an actor stays without a message before it passivates.")
    public var passivateAfter = DurationArgument(.seconds(60))

    @Option(help: "How long its lease outlasts a heartbeat; after this, others take over from a worker that died.")
    public var lease = DurationArgument(.seconds(3))

    @Option(help: "Ends when it has had nothing to host for that long, such as 30s or 5m.")
    public var idleExit: DurationArgument?

    @Option(help: "How long turns that run may take when it is told to stop.")
    public var drainTimeout = DurationArgument(.seconds(10))

    @Option(help: "Hosts that one actor (TYPE/NAME) until it is idle, and ends: for executors that think in tasks.")
    public var once: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Takes calls of processes of this machine and user over a Unix socket, past the mailboxes.")
    public var direct = true

    public init() {}

    public func validate() throws {
        guard (1...1_000_000).contains(maxActivations) else {
            throw ValidationError("--max-activations is \(maxActivations); give a number from 1 to 1000000")
        }
        guard (.milliseconds(200)...(.seconds(600))).contains(lease.duration) else {
            throw ValidationError("--lease is from 200ms to 600s")
        }
        guard !pool.contains("") else { throw ValidationError("--pool takes a name, and this one is empty") }
        do {
            _ = try once.map { try ActorID(parsing: $0) }
        } catch {
            throw ValidationError("--once: \(error)")
        }
    }

    /// What the worker is to do.
    public func configuration(types: [any StatefulActor.Type]) throws -> WorkerConfiguration {
        var configuration = WorkerConfiguration(types: types)
        configuration.pools = pool
        configuration.activationsMax = maxActivations
        configuration.passivateAfter = passivateAfter.duration
        configuration.lease = lease.duration
        configuration.idleExit = idleExit?.duration
        configuration.drainMax = drainTimeout.duration
        configuration.takesDirectCalls = direct
        configuration.only = try once.map { try ActorID(parsing: $0) }
        return configuration
    }
}
