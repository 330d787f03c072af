/// What an endpoint tells of itself.
package struct EndpointStatus: Codable, Sendable, Hashable {
    package var site: String
    package var id: String
    package var exchange: String
    package var durability: String
    /// Where other endpoints can connect to.
    package var listens: [String]
    package var relays: [RelayView]
    package var peers: [PeerStatus]
    package var pid: Int
}

/// How it stands with a relay.
package struct RelayView: Codable, Sendable, Hashable {
    package var url: String
    package var isConnected: Bool
    package var failure: String?
}

/// What an endpoint tells of another site.
package struct PeerStatus: Codable, Sendable, Hashable {
    package var site: String
    package var id: String
    package var isLinked: Bool
    /// How it is reached; nil when it is not.
    package var path: String?
    package var roundTripMicroseconds: Int64?
    /// Messages and calls to it that are not over, as far as this endpoint holds them.
    package var openCount: Int
    /// Why it was not reached the last time.
    package var failure: String?
}
