/// An identifier that is text of 1 to 1 000 bytes without control characters.
public protocol TextIdentifier: Hashable, Sendable, Codable, CustomStringConvertible, Comparable {
    var text: String { get }
    init(unchecked text: String)
}

extension TextIdentifier {
    /// Checks text that came from outside.
    public init(checking text: String) throws(ExchangeError) {
        let bytes = text.utf8
        guard (1...1000).contains(bytes.count), !bytes.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw ExchangeError(
                .invalidArgument,
                "'\(text.prefix(40))' is not a \(Self.self): it takes 1 to 1000 bytes without control characters")
        }
        self.init(unchecked: text)
    }

    public init(from decoder: any Decoder) throws {
        try self.init(checking: decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    public var description: String { text }
    public static func < (left: Self, right: Self) -> Bool { left.text.precedesInBytes(right.text) }
}

/// The id of an envelope, and so of the call it carries; whoever knows it can ask for the call's outcome.
///
/// A client numbers its calls (`client-7`); a call made inside a turn is named after the actor, its incarnation, what the
/// turn handles and the call's index in the turn (`Counter/hits#3.17.0`), so that a redelivered turn asks again under the
/// same id.
public struct CallID: TextIdentifier {
    public let text: String
    public init(unchecked text: String) { self.text = text }

    /// The id of the `index`th call or message of the turn that handles the `sequence`th message of an actor.
    package static func derived(
        from actor: ActorID, incarnation: UInt64, sequence: SequenceNumber, index: Int
    ) -> CallID {
        CallID(unchecked: "\(actor.key)#\(incarnation).\(sequence).\(index)")
    }

    /// The id of the `index`th call or message of the turn that handles a request. The request's own id tells it from
    /// others, also before it has a place in a mailbox; hashed, since ids would grow along a chain of calls.
    package static func derived(
        from actor: ActorID, incarnation: UInt64, request: CallID, index: Int
    ) -> CallID {
        CallID(unchecked: "\(actor.key)#\(incarnation).r\(Fingerprint.text(of: request.text.utf8)).\(index)")
    }

    /// The id of the `count`th firing of a timer.
    package static func firing(of timer: String, on actor: ActorID, incarnation: UInt64, count: UInt64) -> CallID {
        CallID(unchecked: "\(actor.key)#\(incarnation)~\(timer).\(count)")
    }
}

/// The id of a worker process, and of its lane.
public struct WorkerID: TextIdentifier {
    public let text: String
    public init(unchecked text: String) { self.text = text }
}

/// The id of a client process, and of its reply mailbox.
public struct ClientID: TextIdentifier {
    public let text: String
    public init(unchecked text: String) { self.text = text }
}

/// The number of an activation, unique and growing within a shard: the fence of a lease.
public typealias Epoch = UInt64

/// The position of an envelope in its mailbox, from 1.
public typealias SequenceNumber = UInt64

/// A point of the exchange's own clock: milliseconds since the Unix epoch.
public struct Timestamp: Hashable, Sendable, Comparable, Codable {
    public var milliseconds: Int64
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    public static func + (left: Timestamp, right: Duration) -> Timestamp {
        Timestamp(milliseconds: left.milliseconds + right.wholeMilliseconds)
    }

    public static func - (left: Timestamp, right: Timestamp) -> Duration {
        .milliseconds(left.milliseconds - right.milliseconds)
    }

    public init(from decoder: any Decoder) throws {
        milliseconds = try decoder.singleValueContainer().decode(Int64.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(milliseconds)
    }
}

extension Duration {
    /// Milliseconds, rounded up, so that a positive duration never becomes none; a century at the most.
    package var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let bounded = min(max(seconds, -3_200_000_000), 3_200_000_000)
        let (quotient, remainder) = attoseconds.quotientAndRemainder(dividingBy: 1_000_000_000_000_000)
        return bounded * 1000 + quotient + (remainder > 0 ? 1 : 0)
    }
}

extension TextIdentifier {
    /// A new id that nobody else has: 80 random bits.
    package static func random(prefix: String = "") -> Self {
        let high = String(UInt64.random(in: .min ... .max), radix: 36)
        let low = String(UInt16.random(in: .min ... .max), radix: 36)
        return Self(unchecked: prefix + high + low)
    }
}
