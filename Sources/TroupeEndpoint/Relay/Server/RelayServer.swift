package import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ServiceLifecycle
package import SystemPackage

/// What a relay is to be.
package struct RelayServerConfiguration: Sendable {
    package var host: String
    /// 0 lets the system choose.
    package var port: Int
    /// What endpoints call it: the host of the URL that they are given. They sign it with each login.
    package var name: String
    package var policy: RelayPolicy
    /// PEM files of the certificate with its chain, and of its key; nil behind a proxy that speaks TLS.
    package var tls: (certificate: FilePath, key: FilePath)?
    /// Where metrics are served, apart from the rest; nil serves none.
    package var metrics: (host: String, port: Int)?
    /// Whether a proxy in front tells, in X-Forwarded-For, from where its clients come.
    package var isBehindProxy = false
    package var limits = RelayLimits()
    /// How often the policy's file is looked at.
    package var rereadInterval = Duration.seconds(2)

    package init(host: String, port: Int, name: String, policy: RelayPolicy) {
        self.host = host
        self.port = port
        self.name = name
        self.policy = policy
    }
}

/// What a relay says once it serves.
package struct RelayReady: Sendable, Hashable {
    /// HOST:PORT, as it turned out.
    package var address: String
    package var port: Int
    package var metricsPort: Int?
    package var name: String
    package var isTLS: Bool
}

/// Introduces endpoints to each other, and forwards between them what they cannot send directly: serves until its task is
/// cancelled or its service group shuts down. It keeps nothing: after a restart endpoints come back by themselves.
package struct RelayServer: Service {
    private let configuration: RelayServerConfiguration
    private let logger: Logger
    private let onReady: @Sendable (RelayReady) -> Void
    private let orders: AsyncStream<Void>
    private let order: AsyncStream<Void>.Continuation

    /// How long connections have to say goodbye when the relay stops.
    private static let goodbyeTimeMax = TimeAmount.seconds(2)
    private static let backlog: Int32 = 1024

    /// - Parameter onReady: called once, when it listens.
    package init(
        _ configuration: RelayServerConfiguration, logger: Logger = Logger(label: "troupe.relay"),
        onReady: @escaping @Sendable (RelayReady) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.onReady = onReady
        (orders, order) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Reads the policy's file and the certificate anew; what cannot be read changes nothing and is logged.
    package func reload() { order.yield() }

    /// - Throws: ``EndpointError`` when the configuration, a file or an address cannot be used.
    package func run() async throws {
        try configuration.limits.check()
        guard (1...RelayLogin.nameSizeBytesMax).contains(configuration.name.utf8.count) else {
            throw EndpointError(.invalidArgument, "a relay's name has 1 to \(RelayLogin.nameSizeBytesMax) bytes")
        }
        let policy = try await configuration.policy.load()
        let tls = try tlsContext()
        // One loop: a relay introduces, and bytes that it forwards change threads never.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try await serve(on: group, policy, tls)
            try? await group.shutdownGracefully()
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    private func serve(
        on group: MultiThreadedEventLoopGroup, _ policy: LoadedPolicy, _ tls: NIOSSLContext?
    ) async throws(EndpointError) {
        let loop = group.next()
        let shared: NIOLoopBound<Shared>
        do {
            shared = try await loop.submit { NIOLoopBound(makeShared(loop, policy, tls), eventLoop: loop) }.get()
        } catch { throw EndpointError(.closed, "the relay's event loop ended: \(error)") }
        let listener = try await listen(group, configuration.host, configuration.port) { channel in
            try shared.value.listening.accept(channel)
        }
        var metrics: (any Channel)?
        do throws(EndpointError) {
            if let place = configuration.metrics {
                metrics = try await listen(group, place.host, place.port) { channel in
                    try MetricsListening(hub: shared.value.listening.hub).accept(channel)
                }
            }
        } catch {
            try? await listener.close().get()
            throw error
        }
        tell(listener, metrics)
        let ticks = loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
            shared.value.listening.hub.tick()
        }
        await untilStopped(shared, loop)
        ticks.cancel()
        await stop(shared, loop, [listener] + [metrics].compactMap { $0 })
    }

    /// What the event loop owns.
    private final class Shared {
        var listening: RelayListening
        /// What was wrong with a file when it was last looked at.
        var complaint: EndpointError?

        init(_ listening: RelayListening) { self.listening = listening }
    }

    private func makeShared(_ loop: any EventLoop, _ policy: LoadedPolicy, _ tls: NIOSSLContext?) -> Shared {
        let hub = RelayHub(
            loop: loop, name: configuration.name, limits: configuration.limits,
            isBehindProxy: configuration.isBehindProxy, policy: policy, logger: logger)
        return Shared(RelayListening(hub: hub, tls: tls))
    }

    private func listen(
        _ group: MultiThreadedEventLoopGroup, _ host: String, _ port: Int,
        _ accept: @escaping @Sendable (any Channel) throws -> Void
    ) async throws(EndpointError) -> any Channel {
        do {
            return try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: Self.backlog)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try accept(channel) }
                }
                .bind(host: host, port: port).get()
        } catch {
            let reason = (error as? IOError).map { "\(Errno(rawValue: $0.errnoCode))" } ?? "\(error)"
            throw EndpointError(
                .unreachable, "the relay cannot listen at \(host):\(port): \(reason); name another address or port")
        }
    }

    private func tell(_ listener: any Channel, _ metrics: (any Channel)?) {
        let port = listener.localAddress?.port ?? configuration.port
        onReady(
            RelayReady(
                address: "\(configuration.host):\(port)", port: port, metricsPort: metrics?.localAddress?.port,
                name: configuration.name, isTLS: configuration.tls != nil))
    }
}

// MARK: Reading anew, and stopping

extension RelayServer {
    private func untilStopped(_ shared: NIOLoopBound<Shared>, _ loop: any EventLoop) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in orders { await reread(shared, loop, isAsked: true) }
            }
            group.addTask {
                while (try? await Task.sleep(for: configuration.rereadInterval)) != nil {
                    await reread(shared, loop, isAsked: false)
                }
            }
            // Ends by the one or the other; cancellation is how a command stops.
            try? await gracefulShutdown()
            group.cancelAll()
        }
    }

    /// Only a list changes what is allowed from one moment to the next; the rest is read when somebody asks for it.
    private func reread(_ shared: NIOLoopBound<Shared>, _ loop: any EventLoop, isAsked: Bool) async {
        do throws(EndpointError) {
            switch configuration.policy {
            case .open: break
            case .tokens:
                if isAsked { await adopt(try await configuration.policy.load(), shared, loop) }
            case .allowList(let path):
                let policy = try? await loop.submit { shared.value.listening.hub.policy }.get()
                if case .allowList(let list)? = policy, try !list.isStill(at: path) {
                    await adopt(try await configuration.policy.load(), shared, loop)
                }
            }
            if isAsked, let tls = try tlsContext() {
                try? await loop.submit { shared.value.listening.tls = tls }.get()
            }
            try? await loop.submit { shared.value.complaint = nil }.get()
        } catch {
            let isNews = try? await loop.submit {
                defer { shared.value.complaint = error }
                return isAsked || shared.value.complaint != error
            }.get()
            if isNews == true { logger.error("What was read before stays in force: \(error)") }
        }
    }

    private func adopt(_ policy: LoadedPolicy, _ shared: NIOLoopBound<Shared>, _ loop: any EventLoop) async {
        try? await loop.submit { shared.value.listening.hub.adopt(policy) }.get()
        logger.info("Read who may log in anew")
    }

    private func stop(_ shared: NIOLoopBound<Shared>, _ loop: any EventLoop, _ listeners: [any Channel]) async {
        for listener in listeners { try? await listener.close().get() }
        let ended = loop.flatSubmit {
            let channels = shared.value.listening.hub.stop()
            let closed = EventLoopFuture.andAllComplete(channels.map(\.closeFuture), on: loop)
            let late = loop.scheduleTask(in: Self.goodbyeTimeMax) {
                for channel in channels { channel.close(promise: nil) }
            }
            closed.whenComplete { _ in late.cancel() }
            return closed
        }
        try? await ended.get()
    }

    private func tlsContext() throws(EndpointError) -> NIOSSLContext? {
        guard let tls = configuration.tls else { return nil }
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(tls.certificate.string)
            let key = try NIOSSLPrivateKey(file: tls.key.string, format: .pem)
            return try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key)))
        } catch {
            throw EndpointError(
                .files,
                "the certificate \(tls.certificate) and its key \(tls.key) cannot be used (both are PEM files): \(error)"
            )
        }
    }
}
