import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import Synchronization
import SystemPackage

/// Opens connections to relays: TCP, perhaps through a proxy, TLS, WebSocket, login.
struct RelayDialler: Sendable {
    /// What a relay may send in one frame; more than any relay takes, and still a bound.
    static let frameSizeBytesMax = 1 << 20

    let configuration: RelayClientConfiguration
    private let tls: NIOSSLContext
    private let group: any EventLoopGroup

    init(_ configuration: RelayClientConfiguration, group: any EventLoopGroup) throws(EndpointError) {
        self.configuration = configuration
        self.group = group
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.minimumTLSVersion = .tlsv12
        if case .file(let path) = configuration.trustRoots { settings.trustRoots = .file(path.string) }
        do {
            tls = try NIOSSLContext(configuration: settings)
        } catch {
            throw EndpointError(
                .files,
                "the authorities that relays are checked by (\(configuration.trustRoots)) cannot be read: \(error)"
            )
        }
    }

    /// A connection that is logged in.
    struct Opened: Sendable {
        var channel: any Channel
        var welcome: RelayWelcome?
    }

    /// Opens a connection and logs in.
    ///
    /// - Parameters:
    ///   - frameSizeBytesMax: what the relay takes in one frame.
    ///   - top: makes the handler that logs in; it is given the handshake to do.
    func open(
        _ url: RelayURL, _ route: RelayRoute, frameSizeBytesMax: Int,
        top: @escaping @Sendable (RelayHandshake) -> any ChannelHandler
    ) async throws(EndpointError) -> Opened {
        let steps = RelayLoginSteps(configuration, url, route, token: try configuration.currentToken())
        let proxy = try proxy(for: url)
        let loop = group.next()
        let done = loop.makePromise(of: RelayWelcome?.self)
        let opening = Opening()
        let limit = loop.scheduleTask(in: TimeAmount(configuration.connectTimeMax)) {
            opening.giveUp(
                EndpointError(
                    .timedOut, "the relay \(url) has not let us in within \(configuration.connectTimeMax)"), done)
        }
        defer { limit.cancel() }
        let attempt = Attempt(
            url: url, route: route, proxy: proxy, frameSizeBytesMax: frameSizeBytesMax, tls: tls,
            patience: WebSocketEnd.Patience(
                pingInterval: configuration.pingInterval, silenceMax: configuration.silenceMax))
        let connecting = ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(configuration.connectTimeMax))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                opening.has(channel)
                return channel.eventLoop.makeCompletedFuture {
                    try attempt.prepare(channel, done) { top(RelayHandshake(steps, done: done)) }
                }
            }
            .connect(host: proxy?.host ?? url.host, port: proxy?.port ?? url.port)
        connecting.whenFailure { error in
            let target = proxy.map { "the HTTP proxy \($0.host):\($0.port)" } ?? "\(url.host):\(url.port)"
            done.fail(EndpointError(.unreachable, "\(target) cannot be reached for the relay \(url): \(error)"))
        }
        return try await finish(opening, done, url)
    }

    private func finish(
        _ opening: Opening, _ done: EventLoopPromise<RelayWelcome?>, _ url: RelayURL
    ) async throws(EndpointError) -> Opened {
        do {
            let welcome = try await withTaskCancellationHandler {
                try await done.futureResult.get()
            } onCancel: {
                opening.giveUp(EndpointError(.closed, "the connection to \(url) is no longer wanted"), done)
            }
            guard let channel = opening.channel else { preconditionFailure("who logged in has a channel") }
            return Opened(channel: channel, welcome: welcome)
        } catch {
            opening.channel?.close(promise: nil)
            throw error as? EndpointError
                ?? EndpointError(.unreachable, "the relay \(url) cannot be used: \(error)")
        }
    }

    private func proxy(for url: RelayURL) throws(EndpointError) -> RelayProxy? {
        switch configuration.proxy {
        case .none: nil
        case .fixed(let proxy): proxy
        case .inherited: try RelayProxy.inherited(for: url)
        }
    }
}

/// A connection that comes about, so that it can be given up at any moment.
private final class Opening: Sendable {
    private let state = Mutex<(channel: (any Channel)?, isGivenUp: Bool)>((nil, false))

    var channel: (any Channel)? { state.withLock { $0.channel } }

    func has(_ channel: any Channel) {
        let isGivenUp = state.withLock { state in
            state.channel = channel
            return state.isGivenUp
        }
        if isGivenUp { channel.close(promise: nil) }
    }

    func giveUp(_ error: EndpointError, _ done: EventLoopPromise<RelayWelcome?>) {
        done.fail(error)
        let channel = state.withLock { state in
            state.isGivenUp = true
            return state.channel
        }
        channel?.close(promise: nil)
    }
}

/// The layers of one connection, put up one after the other.
private struct Attempt: Sendable {
    let url: RelayURL
    let route: RelayRoute
    let proxy: RelayProxy?
    let frameSizeBytesMax: Int
    let tls: NIOSSLContext
    let patience: WebSocketEnd.Patience

    func prepare(
        _ channel: any Channel, _ done: EventLoopPromise<RelayWelcome?>,
        _ top: @escaping @Sendable () -> any ChannelHandler
    ) throws {
        guard let proxy else { return try addLayers(channel, done, top) }
        let connected = channel.eventLoop.makePromise(of: Void.self)
        connected.futureResult.whenComplete { result in
            do {
                try result.get()
                try addLayers(channel, done, top)
            } catch {
                done.fail(error)
                channel.close(promise: nil)
            }
        }
        try channel.pipeline.syncOperations.addHandler(
            ProxyConnect(proxy, to: url.host, port: url.port, connected: connected))
    }

    private func addLayers(
        _ channel: any Channel, _ done: EventLoopPromise<RelayWelcome?>,
        _ top: @escaping @Sendable () -> any ChannelHandler
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        if url.isTLS {
            let isNumeric = (try? SocketAddress(ipAddress: url.host, port: 0)) != nil
            try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: isNumeric ? nil : url.host))
        }
        let upgrader = NIOTypedWebSocketClientUpgrader<Void>(
            maxFrameSize: RelayDialler.frameSizeBytesMax, enableAutomaticErrorHandling: false
        ) { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                let end = WebSocketEnd(.client, patience: patience, frameSizeBytesMax: frameSizeBytesMax)
                try channel.pipeline.syncOperations.addHandlers([end, top()])
            }
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET, uri: url.path + route.path,
            headers: ["host": url.authority, "content-length": "0"])
        let upgrade = NIOTypedHTTPClientUpgradeConfiguration<Void>(
            upgradeRequestHead: head, upgraders: [upgrader]
        ) { channel in
            channel.eventLoop.makeFailedFuture(
                EndpointError(
                    .protocolViolation,
                    "\(url) answers, but not as a relay does: check the URL, and that a proxy in front passes on Upgrade and Connection"
                ))
        }
        var settings = NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: upgrade)
        settings.leftOverBytesStrategy = .forwardBytes
        try pipeline.configureUpgradableHTTPClientPipeline(configuration: settings).whenFailure { error in
            done.fail(error)
            channel.close(promise: nil)
        }
    }
}
