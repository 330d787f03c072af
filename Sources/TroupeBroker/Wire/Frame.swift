/// One message between a broker and its clients: a version, a kind and a body.
///
/// The two bytes of the head are all that a request costs beyond its operation: a peer proves once per connection who
/// it is (``PeerGate``), so requests carry no credentials.
package struct Frame: Sendable, Hashable {
    /// The version of the broker protocol that this code speaks. 2: answers say how far the broker has come, heartbeats and
    /// statistics tell of outboxes.
    package static let currentVersion: UInt8 = 2
    package static let headBytes = 2

    package var version: UInt8
    package var kind: Kind
    package var body: [UInt8]

    package init(_ kind: Kind, _ body: [UInt8] = []) {
        self.init(version: Frame.currentVersion, kind: kind, body: body)
    }

    package init(version: UInt8, kind: Kind, body: [UInt8]) {
        self.version = version
        self.kind = kind
        self.body = body
    }

    /// What a frame is; unknown values are kept, so that they can be refused by name.
    package struct Kind: RawRepresentable, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// Client: asks for a nonce to prove its token on; no body.
        package static let hello = Kind(rawValue: 0x01)
        /// Broker: 32 bytes of nonce.
        package static let nonce = Kind(rawValue: 0x02)
        /// Client: 32 bytes of its own nonce, and the proof over both (32 bytes).
        package static let proof = Kind(rawValue: 0x03)
        /// Broker: its own proof over both nonces (32 bytes), or nothing when it asks for no token.
        package static let welcome = Kind(rawValue: 0x04)
        /// Client: an operation.
        package static let operation = Kind(rawValue: 0x10)
        /// Broker: the outcome of the operation.
        package static let answer = Kind(rawValue: 0x11)
        /// Broker: the request was not looked at; a ``Refusal`` byte and a sentence in UTF-8.
        package static let refused = Kind(rawValue: 0x12)
    }

    /// Why a broker did not look at a request.
    package enum Refusal: UInt8, Sendable {
        /// The connection has not proved its token yet; prove it and ask again.
        case identify = 1
        /// The proof is wrong.
        case unauthorized = 2
        case unsupportedVersion = 3
        case unknownKind = 4
        /// The broker cannot take or finish the request; the sentence says why.
        case unavailable = 5
        /// The request's body cannot be read.
        case malformed = 6
    }

    package static func refusal(_ reason: Refusal, _ sentence: String) -> Frame {
        Frame(.refused, [reason.rawValue] + sentence.utf8)
    }

    /// Reads the body of a `refused` frame.
    package var refusal: (reason: Refusal?, sentence: String)? {
        guard kind == .refused else { return nil }
        return (body.first.flatMap(Refusal.init(rawValue:)), String(decoding: body.dropFirst(), as: UTF8.self))
    }
}
