/// What an endpoint tells of itself.
package struct EndpointStatus: Codable, Sendable, Hashable {
    package var site: String
    package var id: String
    package var exchange: String
    package var durability: String
    /// For how long the exchange has not answered; nil if it does.
    package var exchangeSilentSeconds: Int?
    /// Where other endpoints can connect to.
    package var listens: [String]
    package var relays: [RelayView]
    package var peers: [PeerStatus]
    package var pid: Int

    package init(
        site: String, id: String, exchange: String, durability: String, listens: [String], relays: [RelayView],
        peers: [PeerStatus], pid: Int, exchangeSilentSeconds: Int? = nil
    ) {
        self.site = site
        self.id = id
        self.exchange = exchange
        self.durability = durability
        self.exchangeSilentSeconds = exchangeSilentSeconds
        self.listens = listens
        self.relays = relays
        self.peers = peers
        self.pid = pid
    }
}

/// How it stands with a relay.
package struct RelayView: Codable, Sendable, Hashable {
    package var url: String
    package var isConnected: Bool
    package var failure: String?

    package init(url: String, isConnected: Bool, failure: String?) {
        self.url = url
        self.isConnected = isConnected
        self.failure = failure
    }
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

    package init(
        site: String, id: String, isLinked: Bool, path: String?, roundTripMicroseconds: Int64?, openCount: Int,
        failure: String?
    ) {
        self.site = site
        self.id = id
        self.isLinked = isLinked
        self.path = path
        self.roundTripMicroseconds = roundTripMicroseconds
        self.openCount = openCount
        self.failure = failure
    }
}
