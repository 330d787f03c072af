/// What bounds an actor's mailbox and what becomes of turns that fail; part of the actor's record.
public struct ActorOptions: Hashable, Sendable, Codable {
    /// Envelopes (queued ones and dead letters) that the mailbox holds at the most.
    public var mailboxCountMax = 10_000
    /// Bytes of envelopes that the mailbox holds at the most.
    public var mailboxSizeBytesMax = 64 << 20
    /// How often a one-way message is tried, and how often an envelope may be under way when a worker dies, before it is
    /// a dead letter.
    public var attemptsMax = 5
    /// The wait before the second attempt; it doubles with each further one, up to ``backoffMax``.
    public var backoffBase: Duration = .milliseconds(100)
    public var backoffMax: Duration = .seconds(30)
    /// Whether turns of one actor may interleave at `await`, and a call may come back to an actor that waits for it.
    public var isReentrant = false

    public init() {}

    /// The wait after the `attempts`th failed attempt, in milliseconds.
    package func backoffMilliseconds(after attempts: Int) -> Int64 {
        let base = backoffBase.wholeMilliseconds
        let doubled = base << Int64(min(max(attempts - 1, 0), 20))
        return min(doubled, backoffMax.wholeMilliseconds)
    }
}

/// A new actor's record.
package struct ActorRegistration: Hashable, Sendable, Codable {
    package var id: ActorID
    package var pool: String
    package var labels: [String: String]
    package var options: ActorOptions
    /// The encoded initial state.
    package var state: [UInt8]
    package var stateReferences: [String]
    /// Whether the actor is to be activated without waiting for a message (it has background work).
    package var isEager: Bool

    package init(
        id: ActorID, pool: String = "default", labels: [String: String] = [:], options: ActorOptions = .init(),
        state: [UInt8], stateReferences: [String] = [], isEager: Bool = false
    ) {
        self.id = id
        self.pool = pool
        self.labels = labels
        self.options = options
        self.state = state
        self.stateReferences = stateReferences
        self.isEager = isEager
    }
}

package enum RegisterResult: Hashable, Sendable, Codable {
    case created
    /// The actor was there already, and was left as it is.
    case existed
}

/// One method of an actor type, as workers publish it for the command line and other languages.
public struct MethodDescription: Hashable, Sendable, Codable {
    /// The wire name, such as `add(_:)`.
    public var name: String
    /// Parameter labels, `_` for none.
    public var labels: [String]
    /// For people: `add(_: Swift.Int) -> Swift.Int`.
    public var signature: String
    public init(name: String, labels: [String], signature: String) {
        self.name = name
        self.labels = labels
        self.signature = signature
    }
}

/// An actor type, as workers publish it.
public struct TypeDescription: Hashable, Sendable, Codable {
    public var name: String
    public var methods: [MethodDescription]
    /// The encoded state of a new actor, if the type has one that needs no arguments.
    public var initialState: [UInt8]?
    public var options: ActorOptions
    public var isEager: Bool
    public init(
        name: String, methods: [MethodDescription], initialState: [UInt8]?, options: ActorOptions, isEager: Bool
    ) {
        self.name = name
        self.methods = methods
        self.initialState = initialState
        self.options = options
        self.isEager = isEager
    }
}

/// Where a worker takes requests from processes of its own machine, and what they show to be let in. The token is for who
/// may use the exchange, and for nobody else to read.
package struct DirectAddress: Hashable, Sendable, Codable, CustomStringConvertible {
    /// Of a Unix socket.
    package var path: String
    package var token: [UInt8]
    package init(path: String, token: [UInt8]) {
        self.path = path
        self.token = token
    }

    package var description: String { path }
}

package struct WorkerRegistration: Hashable, Sendable, Codable {
    package var id: WorkerID
    package var pools: [String]
    package var types: [TypeDescription]
    package var host: String
    package var pid: Int
    /// Activations that it holds at the most.
    package var activationsMax: Int
    /// Envelopes of one activation that may be delivered and not yet committed.
    package var window: Int
    /// How long its lease lasts beyond each heartbeat.
    package var lease: Duration
    /// Nil if it takes nothing directly.
    package var direct: DirectAddress?

    package init(
        id: WorkerID, pools: [String], types: [TypeDescription], host: String, pid: Int, activationsMax: Int,
        window: Int = 256, lease: Duration = .seconds(3), direct: DirectAddress? = nil
    ) {
        self.id = id
        self.pools = pools
        self.types = types
        self.host = host
        self.pid = pid
        self.activationsMax = activationsMax
        self.window = window
        self.lease = lease
        self.direct = direct
    }
}
