/// A connection to another endpoint, over whatever path was found: encrypted end to end, both sides known by their keys.
///
/// It carries any number of streams. Each has a window of its own, so a stream whose reader is slow holds up no other, and
/// what waits on an urgent one goes before what waits on a bulk one.
package protocol PeerConnection: AnyObject, Sendable {
    /// The other side, proven.
    var peer: EndpointID { get }
    /// How it is reached.
    var path: PeerPath { get }

    /// Opens a stream; the other side gets it from its ``nextStream()``.
    func openStream(_ urgency: StreamUrgency) async throws(EndpointError) -> any PeerStream
    /// The next stream that the other side has opened; nil once the connection is over. One caller at a time.
    func nextStream() async -> (any PeerStream)?
    /// Time of a round trip, as measured of late; nil if it has not been.
    var roundTrip: Duration? { get }
    /// Ends all streams; what they have written and the other side has not read may be lost.
    func close() async
}

/// One stream of a connection: two directions of bytes in order, each ended by itself.
package protocol PeerStream: Sendable {
    /// Sends bytes; waits while the other side's window is full.
    func write(_ bytes: [UInt8]) async throws(EndpointError)
    /// Nothing more will be written.
    func finish() async throws(EndpointError)
    /// The next bytes, at most so many; nil at the end of what the other side writes. One caller at a time.
    func read(atMost countMax: Int) async throws(EndpointError) -> [UInt8]?
    /// Gives up both directions; the other side's reads and writes fail.
    func reset()
}

/// What goes first where not all can go at once.
package enum StreamUrgency: UInt8, Sendable, Hashable, CaseIterable {
    /// Envelopes and outcomes.
    case urgent = 0
    /// Objects.
    case bulk = 1
}

/// How a peer is reached, for people and metrics.
package struct PeerPath: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case directTLS = "tls"
        /// QUIC over a path that ICE found without help.
        case holePunched = "quic"
        /// QUIC through a TURN server.
        case turn = "quic-turn"
        /// TLS through the relay.
        case relayed = "relay"
    }
    package var kind: Kind
    /// Addresses, as far as they are known.
    package var detail: String

    package init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }

    package var description: String { "\(kind.rawValue) \(detail)" }
}
