package import SystemPackage

/// How an endpoint uses relays.
package struct RelayClientConfiguration: Sendable {
    package enum TrustRoots: Sendable, Hashable {
        case system
        /// Certificates of authorities, PEM.
        case file(FilePath)
    }

    package enum ProxyChoice: Sendable, Hashable {
        /// What `https_proxy`, `http_proxy` and `no_proxy` say.
        case inherited
        case none
        case fixed(RelayProxy)
    }

    package var key: EndpointKey
    /// For the relay's log.
    package var site: String
    package var tenant: String
    /// A connection is kept to each; any will do.
    package var relays: [RelayURL]
    package var token: String?
    /// Read before each login, so that it can be replaced; goes before ``token``.
    package var tokenFile: FilePath?
    package var trustRoots = TrustRoots.system
    package var proxy = ProxyChoice.inherited
    /// The first and the longest wait before another try. What is waited varies, so that not all endpoints come at once.
    package var retry = Duration.milliseconds(500)...Duration.seconds(30)
    /// From the first packet to the login.
    package var connectTimeMax = Duration.seconds(15)
    /// From a request to its answer.
    package var answerTimeMax = Duration.seconds(10)
    package var pingInterval = Duration.seconds(20)
    /// Silence after which a relay is given up.
    package var silenceMax = Duration.seconds(60)
    /// Pipes that others have asked for and that are being opened.
    package var incomingPipesMax = 16

    package init(key: EndpointKey, site: String, tenant: String? = nil, relays: [RelayURL]) {
        self.key = key
        self.site = site
        self.tenant = tenant ?? TenantName.standard
        self.relays = relays
    }

    static let tokenSizeBytesMax = 16 << 10

    func check() throws(EndpointError) {
        guard TenantName.isValid(tenant) else {
            throw EndpointError(
                .invalidArgument,
                "'\(tenant.prefix(80))' is no tenant: it takes 1 to 64 letters, digits, dots, dashes and underscores")
        }
        guard site.utf8.count <= RelayLogin.nameSizeBytesMax else {
            throw EndpointError(
                .invalidArgument, "the site's name has \(site.utf8.count) bytes, and a relay takes at most 64")
        }
    }

    /// The token as it is now.
    func currentToken() throws(EndpointError) -> String? {
        guard let tokenFile else { return token }
        let text = try SmallFile.text(
            at: tokenFile, what: "the relay's token", sizeBytesMax: Self.tokenSizeBytesMax)
        return text.split(whereSeparator: \.isWhitespace).first.map(String.init)
    }
}
