package import Logging
package import NIOCore
import NIOPosix
import Synchronization
import SystemPackage
import TroupeBroker

/// Takes connections of other endpoints on TCP ports, and hands on those whose peers have proven who they are and are
/// trusted.
package final class DirectListener: Sendable {
    package struct Options: Sendable {
        package var mux = MuxOptions()
        /// Connections whose peers have not proven who they are. More are closed as they come: nobody can hold more of
        /// this process than that, for longer than the handshake may take.
        package var unprovenMax = 256
        /// Connections that the kernel keeps until this process takes them.
        package var backlog = 256

        package init() {}
    }

    /// Where it listens, with the ports that were chosen where 0 was asked for.
    package let addresses: [HostPort]

    private let servers: [any Channel]
    private let admission: Admission

    private init(_ servers: [any Channel], _ admission: Admission) {
        self.servers = servers
        self.admission = admission
        addresses = servers.compactMap { HostPort($0.localAddress) }
    }

    /// Listens at all these addresses, or at none.
    ///
    /// - Parameters:
    ///   - accepts: whether an endpoint may connect; called on event loops, so it must not wait.
    ///   - onConnection: gets each connection, on its event loop, and owns it from then on.
    ///   - onFailure: learns, there too, why none came about with an endpoint that has shown who it is.
    package static func bind(
        to addresses: [HostPort], credentials: LinkCredentials,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, options: Options = Options(),
        logger: Logger, accepts: @escaping @Sendable (EndpointID) -> Bool,
        onConnection: @escaping @Sendable (MuxConnection) -> Void,
        onFailure: @escaping @Sendable (EndpointID, EndpointError) -> Void = { _, _ in }
    ) async throws(EndpointError) -> DirectListener {
        let admission = Admission(
            options, credentials, logger, accepts: accepts, onConnection: onConnection, onFailure: onFailure)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(options.backlog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in admission.admit(channel) }
        var servers: [any Channel] = []
        for address in addresses {
            do {
                servers.append(try await bootstrap.bind(host: address.host, port: address.port).get())
            } catch {
                for server in servers { try? await server.close() }
                let reason = (error as? IOError).map { "\(Errno(rawValue: $0.errnoCode))" } ?? "\(error)"
                throw EndpointError(
                    .unreachable,
                    "nothing can listen at \(address): \(reason); free the port, or name another address of this host")
            }
        }
        return DirectListener(servers, admission)
    }

    /// Stops to listen and closes connections that are not proven. Those that were handed on live on.
    package func close() async {
        for server in servers {
            // One that is closed already is as it should be.
            try? await server.close()
        }
        await admission.close()
    }
}

/// Lets a bounded number of connections prove themselves at a time.
private final class Admission: Sendable {
    private struct State {
        var unproven: [ObjectIdentifier: any Channel] = [:]
        var isClosed = false
        /// Turned away since there was room last.
        var turnedAway = 0
    }

    private let options: DirectListener.Options
    private let credentials: LinkCredentials
    private let logger: Logger
    private let role: LinkRole
    private let refusals: RefusalLog
    private let onConnection: @Sendable (MuxConnection) -> Void
    private let onFailure: @Sendable (EndpointID, EndpointError) -> Void
    private let state = Mutex(State())

    init(
        _ options: DirectListener.Options, _ credentials: LinkCredentials, _ logger: Logger,
        accepts: @escaping @Sendable (EndpointID) -> Bool, onConnection: @escaping @Sendable (MuxConnection) -> Void,
        onFailure: @escaping @Sendable (EndpointID, EndpointError) -> Void
    ) {
        self.options = options
        self.credentials = credentials
        self.logger = logger
        self.onConnection = onConnection
        self.onFailure = onFailure
        role = .server(accepts: accepts)
        refusals = RefusalLog(logger, role)
    }

    /// Begins a connection's handshake, on its event loop and before it reads.
    func admit(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard enter(channel) else {
            return channel.eventLoop.makeFailedFuture(
                EndpointError(.limitExceeded, "too many connections at once have not proven who they are"))
        }
        DirectChannel.configure(channel)
        let setup = LinkSetup(
            role: role, path: DirectChannel.path(of: channel), options: options.mux, logger: logger,
            refusals: refusals, onFailure: onFailure)
        MuxConnection.begin(on: channel, setup, credentials: credentials).whenComplete { [self] result in
            leave(channel)
            // The reason of a failure has been logged.
            if case .success(let connection) = result { onConnection(connection) }
        }
        return channel.eventLoop.makeSucceededVoidFuture()
    }

    private func enter(_ channel: any Channel) -> Bool {
        let (isIn, turnedAway) = state.withLock { state in
            guard !state.isClosed, state.unproven.count < options.unprovenMax else {
                state.turnedAway += 1
                return (false, state.turnedAway)
            }
            state.unproven[ObjectIdentifier(channel)] = channel
            state.turnedAway = 0
            return (true, 0)
        }
        // A flood gets one line until there is room again.
        if turnedAway == 1 {
            logger.warning(
                "connections are turned away: too many have not proven who they are",
                metadata: ["allowed": "\(options.unprovenMax)", "address": "\(DirectChannel.path(of: channel).detail)"])
        }
        return isIn
    }

    private func leave(_ channel: any Channel) {
        state.withLock { state in state.unproven[ObjectIdentifier(channel)] = nil }
    }

    func close() async {
        let unproven = state.withLock { state in
            state.isClosed = true
            return Array(state.unproven.values)
        }
        for channel in unproven {
            channel.close(promise: nil)
            try? await channel.closeFuture.get()
        }
    }
}
