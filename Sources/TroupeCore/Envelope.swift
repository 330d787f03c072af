/// A message as it is stored: the header that an exchange reads, and the arguments that only the actor's code does.
public struct Envelope: Hashable, Sendable {
    public enum Kind: UInt8, Hashable, Sendable, Codable {
        /// A call whose caller waits for the outcome; a thrown error is the outcome.
        case request
        /// One-way; a thrown error is retried, then the envelope is a dead letter.
        case tell
        /// A firing of a durable timer; otherwise as ``tell``.
        case timer
    }

    public var id: CallID
    public var kind: Kind
    public var target: ActorID
    /// The actor or client that sent it; order holds per sender.
    public var sender: String
    /// The mailbox to which the outcome is sent when there is one.
    public var replyTo: ClientID?
    /// The wire name of the method, such as `add(_:)`.
    public var method: String
    /// Mangled names of the generic substitutions, outermost first.
    public var generics: [String]
    /// A CBOR array of the arguments.
    public var arguments: [UInt8]
    public var sentAt: Timestamp
    public var deadline: Timestamp?
    /// Of target, method and arguments; 0 where nobody needs it. Tells a redelivered turn that asks something else.
    public var fingerprint: UInt64
    /// The actors whose turns wait for this call, outermost first.
    public var chain: [ActorID]
    /// Ids of the managed objects that the arguments refer to; they are pinned while the envelope exists.
    public var references: [String]
    /// Trace context and the like, carried and not read.
    public var baggage: [String: String]

    public init(
        id: CallID, kind: Kind, target: ActorID, sender: String, replyTo: ClientID? = nil, method: String,
        generics: [String] = [], arguments: [UInt8], sentAt: Timestamp, deadline: Timestamp? = nil,
        fingerprint: UInt64 = 0, chain: [ActorID] = [], references: [String] = [], baggage: [String: String] = [:]
    ) {
        self.id = id
        self.kind = kind
        self.target = target
        self.sender = sender
        self.replyTo = replyTo
        self.method = method
        self.generics = generics
        self.arguments = arguments
        self.sentAt = sentAt
        self.deadline = deadline
        self.fingerprint = fingerprint
        self.chain = chain
        self.references = references
        self.baggage = baggage
    }

    /// Whether the target's own turn waits for this call: a deadlock, unless the target is re-entrant.
    package var isCyclic: Bool { chain.contains(target) }
}

extension Envelope {
    /// What the envelope counts against capacities and limits: a fixed sum over its parts, alike on every host.
    package var sizeBytes: Int {
        64 + id.text.utf8.count + target.key.utf8.count + sender.utf8.count + method.utf8.count + arguments.count
            + chain.count * 64 + references.count * 48
    }
}
