/// Which call's outcome a proxy stands for.
public struct OutcomeReference: Hashable, Sendable, Codable, CustomStringConvertible {
    public let callID: String
    /// The public address of the exchange that has the call, without credentials; `nil` for the one at hand.
    public let exchange: String?

    package static let partSizeBytesMax = 1024

    /// Throws ``StoreError/Code/invalidArgument`` if the id is empty or a part is over 1024 bytes.
    public init(callID: String, exchange: String? = nil) throws(StoreError) {
        guard !callID.isEmpty && max(callID.utf8.count, exchange?.utf8.count ?? 0) <= Self.partSizeBytesMax else {
            throw StoreError(
                .invalidArgument, "the outcome of a call needs the call's id, of \(Self.partSizeBytesMax) bytes at most"
            )
        }
        self.callID = callID
        self.exchange = exchange
    }

    enum CodingKeys: String, CodingKey {
        case callID = "i"
        case exchange = "e"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            callID: container.decode(String.self, forKey: .callID),
            exchange: container.decodeIfPresent(String.self, forKey: .exchange))
    }

    public var description: String { exchange.map { "call \(callID) at \($0)" } ?? "call \(callID)" }
}

/// A committed result, as the exchange keeps it.
public enum OutcomeValue: Hashable, Sendable {
    /// The encoded value.
    case bytes([UInt8])
    /// The encoded value lies in a store.
    case stored(ObjectReference)
}

/// Answers for proxies that stand for the value of a call that may not have finished.
///
/// The runtime registers one (``StoreRegistry/setResolver(_:)``).
public protocol ProxyResolver: Sendable {
    /// Waits until the call is decided and returns its result. Throws the call's error if it failed, and
    /// `CancellationError` if the waiting task is cancelled. Called once for all that wait for the same call.
    func outcome(of reference: OutcomeReference) async throws -> OutcomeValue

    /// Which of these objects the exchange counts references to: a result's word for it is not enough.
    func counted(_ ids: [String]) async throws -> Set<String>
}
