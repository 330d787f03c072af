/// What became of a call; decidable by its id for as long as the exchange keeps outcomes.
public struct Outcome: Hashable, Sendable, Codable {
    public enum Status: String, Hashable, Sendable, Codable, CaseIterable {
        /// Stored, and not yet handled.
        case pending
        /// The turn committed; the payload is its CBOR result.
        case committed
        /// The turn threw; the payload is the encoded error.
        case failed
        /// Put aside; the payload is the reason as UTF-8.
        case deadLettered
        /// Its deadline passed before it ran.
        case expired
        /// Cancelled before it committed.
        case cancelled
        /// No such id, or one whose retention is over.
        case unknown
    }

    public var status: Status
    public var payload: [UInt8]

    public init(_ status: Status, payload: [UInt8] = []) {
        self.status = status
        self.payload = payload
    }

    package var isFinal: Bool { status != .pending && status != .unknown }
}
