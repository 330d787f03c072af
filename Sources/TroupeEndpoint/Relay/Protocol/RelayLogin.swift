/// What an endpoint says to prove who it is.
package struct RelayLogin: Sendable, Hashable, Codable {
    package var id: EndpointID
    /// What the endpoint calls its site; for the relay's log only, nobody relies on it.
    package var site: String
    package var tenant: String
    /// Over ``signed(challenge:relay:tenant:route:)``, with the purpose `relayLogin`.
    package var signature: [UInt8]
    /// A JSON Web Token, where the relay wants one.
    package var token: String?

    static let challengeSizeBytes = 32
    static let nameSizeBytesMax = 64
    static let tokenSizeBytesMax = 4096

    /// What is signed: the relay's random bytes, so that a login is good once; its name, so that one relay cannot use a
    /// login at another; the tenant; and the route, so that a login for presence opens no pipe.
    static func signed(challenge: [UInt8], relay: String, tenant: String, route: RelayRoute) -> [UInt8] {
        challenge + Array(relay.utf8) + [0] + Array(tenant.utf8) + [0] + Array(route.path.utf8)
    }

    init(
        key: EndpointKey, site: String, tenant: String, token: String?, challenge: [UInt8], relay: String,
        route: RelayRoute
    ) throws(EndpointError) {
        let bytes = Self.signed(challenge: challenge, relay: relay, tenant: tenant, route: route)
        self.init(
            id: key.id, site: site, tenant: tenant, signature: try key.sign(bytes, for: .relayLogin), token: token)
    }

    package init(id: EndpointID, site: String, tenant: String, signature: [UInt8], token: String?) {
        self.id = id
        self.site = site
        self.tenant = tenant
        self.signature = signature
        self.token = token
    }

    func isSigned(challenge: [UInt8], relay: String, route: RelayRoute) -> Bool {
        let bytes = Self.signed(challenge: challenge, relay: relay, tenant: tenant, route: route)
        return id.verifies(signature, of: bytes, for: .relayLogin)
    }
}

/// The name of a group of endpoints that may see each other.
enum TenantName {
    static let standard = "default"

    /// One to 64 letters, digits, dots, dashes and underscores.
    static func isValid(_ text: String) -> Bool {
        (1...RelayLogin.nameSizeBytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                case _: false
                }
            }
    }
}
