/// Why a relay does not do what it was asked; also the label of the metric that counts it.
package enum RelayRefusal: String, Sendable, Hashable, CaseIterable {
    // MARK: Connections
    case connections = "connections"
    case connectionsOfAddress = "connections-of-address"
    case unauthenticated = "unauthenticated-connections"
    case loginTime = "login-time"
    case headSize = "head-size"
    case frameSize = "frame-size"
    case malformed = "malformed"
    case silent = "silent"
    case slowReader = "slow-reader"
    case replaced = "replaced"
    case stopping = "stopping"

    // MARK: Logins
    case signature = "signature"
    case notAllowed = "not-allowed"
    case token = "token"
    case tokenExpired = "token-expired"

    // MARK: Requests
    /// Not there, or not in the asker's tenant: the two are not told apart.
    case notThere = "not-there"
    case signalRate = "signal-rate"
    case signalSize = "signal-size"
    case watchCount = "watch-count"
    case pipeCount = "pipe-count"
    case forwardingOff = "forwarding-off"
    case pipeToken = "pipe-token"
    case memory = "memory"

    /// What it means and what to do, for the one who was refused.
    package var remedy: String {
        switch self {
        case .connections: "the relay has all the connections it takes; try another one or later"
        case .connectionsOfAddress: "the relay has all the connections it takes from this address"
        case .unauthenticated: "too many connections wait to log in; try again later"
        case .loginTime: "the login took too long"
        case .headSize: "the request's head is larger than the relay takes"
        case .frameSize: "a frame was larger than the relay takes"
        case .malformed: "what was sent is not the relay's protocol; check that both sides have the same version"
        case .silent: "nothing was heard for too long"
        case .slowReader: "what the relay had to say was not read in time"
        case .replaced: "the endpoint has logged in again; run one endpoint per key"
        case .stopping: "the relay stops; it can be reached again once it runs"
        case .signature: "the signature does not fit the endpoint, the relay's name and the tenant"
        case .notAllowed: "the relay does not know this endpoint in this tenant; ask who runs it to add the id"
        case .token: "the relay does not accept the token; ask who runs it for one of this endpoint and tenant"
        case .tokenExpired: "the token has expired; ask who runs the relay for a new one"
        case .notThere: "no such endpoint is there"
        case .signalRate: "too many signals in a short time; try again in a second"
        case .signalSize: "the signal is larger than the relay takes"
        case .watchCount: "more endpoints are watched than the relay takes"
        case .pipeCount: "one of the two endpoints has all the pipes that the relay takes"
        case .forwardingOff: "the relay forwards nothing; it only introduces endpoints to each other"
        case .pipeToken: "the pipe is unknown, no longer wanted, or another endpoint's"
        case .memory: "the relay has no memory to spare; try again later"
        }
    }

    /// Whether it is worth a line in the relay's log: it ends a connection, or keeps somebody out.
    var isLogged: Bool {
        switch self {
        case .notThere, .replaced, .stopping, .forwardingOff: false
        case .connections, .connectionsOfAddress, .unauthenticated, .loginTime, .headSize, .frameSize, .malformed,
            .silent, .slowReader, .signature, .notAllowed, .token, .tokenExpired, .signalRate, .signalSize,
            .watchCount, .pipeCount, .pipeToken, .memory:
            true
        }
    }
}
