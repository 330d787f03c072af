import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// Makes connections out of what is accepted.
struct RelayListening {
    let hub: RelayHub
    /// Changed when the certificate's file is read anew.
    var tls: NIOSSLContext?

    /// Called for each accepted channel, on the hub's event loop.
    func accept(_ channel: any Channel) throws {
        let id = try hub.open(channel).get()
        let pipeline = channel.pipeline.syncOperations
        if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
        try pipeline.addHandler(HeadBound(sizeBytesMax: hub.limits.headSizeBytesMax))
        let hub = NIOLoopBound(hub, eventLoop: channel.eventLoop)
        let upgrader = NIOWebSocketServerUpgrader(
            maxFrameSize: self.hub.limits.frameSizeBytesMax, automaticErrorHandling: false
        ) { channel, head in
            channel.eventLoop.makeSucceededFuture(Self.isWelcome(head, id, hub.value) ? HTTPHeaders() : nil)
        } upgradePipelineHandler: { channel, head in
            channel.eventLoop.makeCompletedFuture { try Self.upgrade(channel, head, id, hub.value) }
        }
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false,
            withServerUpgrade: (upgraders: [upgrader], completionHandler: { _ in }), withErrorHandling: false)
        try pipeline.addHandler(
            HTTPAnswers {
                Self.answer($0)
            } onError: { error in
                switch error {
                case is HeadBound.Exceeded: hub.value.note(.headSize, channel.remoteAddress?.ipAddress ?? "unknown")
                case is HTTPParserError: hub.value.note(.malformed, channel.remoteAddress?.ipAddress ?? "unknown")
                // Who only looks whether the port is open says nothing that could be refused.
                case NIOSSLError.handshakeFailed(let reason) where reason != .sslError([.eofDuringHandshake]):
                    hub.value.note(.malformed, channel.remoteAddress?.ipAddress ?? "unknown")
                case _: break
                }
            })
    }

    private static func isWelcome(_ head: HTTPRequestHead, _ id: ConnectionID, _ hub: RelayHub) -> Bool {
        guard head.method == .GET, RelayRoute(path: head.uri) != nil else { return false }
        guard hub.isBehindProxy else { return true }
        // The last one is what our own proxy has seen; those before are what others say.
        let told = head.headers[canonicalForm: "x-forwarded-for"].last.map(String.init) ?? "unknown"
        return hub.forwarded(id, address: String(told.prefix(64)))
    }

    private static func upgrade(
        _ channel: any Channel, _ head: HTTPRequestHead, _ id: ConnectionID, _ hub: RelayHub
    ) throws {
        guard let route = RelayRoute(path: head.uri) else {
            preconditionFailure("only what has a route is upgraded")
        }
        let pipeline = channel.pipeline.syncOperations
        pipeline.removeHandler(try pipeline.handler(type: HeadBound.self), promise: nil)
        pipeline.removeHandler(try pipeline.handler(type: HTTPAnswers.self), promise: nil)
        let socket = WebSocketEnd(
            .server,
            patience: WebSocketEnd.Patience(pingInterval: hub.limits.pingInterval, silenceMax: hub.limits.silenceMax),
            frameSizeBytesMax: hub.limits.frameSizeBytesMax)
        try pipeline.addHandlers([socket, RelayConnection(id, route, hub: hub)])
    }

    private static func answer(_ head: HTTPRequestHead) -> HTTPAnswers.Answer {
        if head.uri == "/healthz" { return HTTPAnswers.Answer(status: .ok, text: "ok\n") }
        if RelayRoute(path: head.uri) != nil {
            return HTTPAnswers.Answer(
                status: .upgradeRequired,
                text: "This is for WebSockets of endpoints. A proxy in front must pass on Upgrade and Connection.\n")
        }
        return HTTPAnswers.Answer(status: .notFound, text: "This is a relay of Troupe; there is nothing to see.\n")
    }
}

/// Makes connections that ask for metrics.
struct MetricsListening {
    let hub: RelayHub
    private static let timeMax = TimeAmount.seconds(10)
    private static let headSizeBytesMax = 8 << 10

    func accept(_ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(HeadBound(sizeBytesMax: Self.headSizeBytesMax))
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: false)
        try pipeline.addHandler(
            HTTPAnswers { [hub] head in
                switch head.uri {
                case "/metrics":
                    HTTPAnswers.Answer(
                        status: .ok, text: hub.metricsText, contentType: "text/plain; version=0.0.4; charset=utf-8")
                case "/healthz": HTTPAnswers.Answer(status: .ok, text: "ok\n")
                case _: HTTPAnswers.Answer(status: .notFound, text: "Metrics are at /metrics.\n")
                }
            })
        channel.eventLoop.scheduleTask(in: Self.timeMax) { channel.close(promise: nil) }
    }
}
