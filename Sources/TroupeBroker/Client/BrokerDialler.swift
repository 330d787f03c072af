/// Knows the way to a broker.
protocol BrokerDialler: Sendable {
    /// Whether the broker may come to be elsewhere, so that ``dial(instead:)`` is worth asking again.
    var mayMove: Bool { get }

    /// A channel to where the broker is now; `old` itself if that leads there. Blocks while this process becomes the broker.
    func dial(instead old: BrokerChannel?) throws(BrokerError) -> BrokerChannel

    /// Hears what the broker that was found promises.
    func note(_ description: BrokerDescription)

    /// Ends the broker if it is this process. Blocks.
    func leave()
}

/// The way to a broker at one address, whose channel connects again by itself.
struct FixedDialler: BrokerDialler {
    let address: NNGAddress
    let token: BrokerToken?
    var mayMove: Bool { false }

    func dial(instead old: BrokerChannel?) throws(BrokerError) -> BrokerChannel {
        if let old { return old }
        return try BrokerChannel(address, token: token)
    }

    func note(_ description: BrokerDescription) {}
    func leave() {}
}
