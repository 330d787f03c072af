public import TroupeCore

/// What a worker hosts, and how much.
public struct WorkerConfiguration: Sendable {
    /// The actor types that this process can bring to life.
    public var types: [any StatefulActor.Type]
    /// The pools whose actors it takes.
    public var pools = ["default"]
    /// Actors that it holds at the same time at the most.
    public var activationsMax = 10_000
    /// How long an actor stays without a message before it passivates.
    public var passivateAfter: Duration = .seconds(60)
    /// How long its lease lasts beyond each heartbeat: after this, others take over from a worker that died.
    public var lease: Duration = .seconds(3)
    /// Envelopes of one actor that may be on their way to the worker.
    public var window = 256
    /// Ends by itself when it has had nothing to host for that long.
    public var idleExit: Duration?
    /// How long turns that run may take when it is told to go.
    public var drainMax: Duration = .seconds(10)
    /// Hosts that actor and no other, until it is idle.
    public var only: ActorID?
    /// Whether processes of this machine and user may call its actors past their mailboxes, over a Unix socket.
    public var takesDirectCalls = true

    public init(types: [any StatefulActor.Type]) { self.types = types }
}
