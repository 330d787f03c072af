/// What can be asked of a site itself: operations on its exchange, as requests to the actor `@endpoint/exchange` of the site
/// whose argument is the encoded operation and whose result is the encoded answer. They travel as all mail does.
package enum SiteRequest {
    package static let type = "@endpoint"
    package static let name = "exchange"
    package static let method = "perform"

    /// Under this key an envelope's baggage carries a capability.
    package static let capabilityKey = "troupe-capability"

    /// The result of a one-way message that is in its mailbox at the other site: a CBOR tag ("TRPT") around null. What
    /// became of it there is known to that site.
    package static let taken: [UInt8] = [0xDA, 0x54, 0x52, 0x50, 0x54, 0xF6]

    /// The type of the error that a call ends with when the other site has put it aside.
    package static let deadLettered = "@deadLettered"

    package static func target(_ site: String) throws(ExchangeError) -> ActorID {
        try ActorID(site: site, type: type, name: name)
    }
}
