/// A login as the endpoint sees it: challenge, answer, acceptance.
struct RelayLoginSteps: Sendable {
    enum Step: Sendable {
        case say(RelayRequest)
        /// Logged in. For a pipe there is no welcome: both ends are there.
        case done(RelayWelcome?)
        case failed(EndpointError)
    }

    private enum State { case start, answered, over }

    let url: RelayURL
    let route: RelayRoute
    let key: EndpointKey
    let site: String
    let tenant: String
    let token: String?
    private var state = State.start

    init(_ configuration: RelayClientConfiguration, _ url: RelayURL, _ route: RelayRoute, token: String?) {
        self.url = url
        self.route = route
        key = configuration.key
        site = configuration.site
        tenant = configuration.tenant
        self.token = token
    }

    mutating func take(_ event: RelayEvent) -> Step {
        switch (event, state, route) {
        case (.challenge(let bytes, let relay), .start, _):
            guard relay == url.name else {
                return .failed(
                    EndpointError(
                        .refused,
                        "the relay at \(url) calls itself '\(relay.prefix(64))', which is not the URL's '\(url.name)': check the URL, or add ?name= to it"
                    ))
            }
            guard bytes.count == RelayLogin.challengeSizeBytes else { return unexpected() }
            state = .answered
            do throws(EndpointError) {
                return .say(
                    .login(
                        try RelayLogin(
                            key: key, site: site, tenant: tenant, token: token, challenge: bytes, relay: relay,
                            route: route)))
            } catch { return .failed(error) }
        case (.welcome(let welcome), .answered, .presence):
            state = .over
            return .done(welcome)
        case (.ready, .answered, .pipe):
            state = .over
            return .done(nil)
        case (.refused(nil, let reason, let detail), _, _):
            return .failed(Self.refusal(url, reason, "\(detail); this is \(key.id.short) of tenant '\(tenant)'"))
        case (_, _, _):
            return unexpected()
        }
    }

    private func unexpected() -> Step {
        .failed(
            EndpointError(
                .protocolViolation, "\(url) does not answer as a relay of our version does; check the URL and versions")
        )
    }

    /// What a relay's refusal is to its user.
    static func refusal(_ url: RelayURL, _ reason: String, _ detail: String) -> EndpointError {
        let code: EndpointError.Code =
            switch RelayRefusal(rawValue: reason) {
            case .notThere: .unreachable
            case .loginTime, .silent: .timedOut
            case .stopping: .closed
            case .connections, .connectionsOfAddress, .unauthenticated, .headSize, .frameSize, .slowReader, .signalRate,
                .signalSize, .watchCount, .pipeCount, .memory:
                .limitExceeded
            case .malformed: .protocolViolation
            case .replaced, .signature, .notAllowed, .token, .tokenExpired, .forwardingOff, .pipeToken, nil: .refused
            }
        return EndpointError(code, "the relay \(url) refuses: \(detail.prefix(300)) (\(reason.prefix(40)))")
    }
}
