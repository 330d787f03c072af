package import Logging
package import NIOCore
import NIOPosix
import Synchronization

/// Connects to an endpoint at one of the addresses where it may be.
package enum DirectDialler {
    package struct Options: Sendable {
        package var mux = MuxOptions()
        /// How long an address has before the next one is tried beside it (RFC 8305 recommends 250 ms).
        package var stagger = Duration.milliseconds(250)
        /// How long all of it may take.
        package var timeMax = Duration.seconds(10)
        /// Addresses beyond these are not tried.
        package var addressesMax = 16

        package init() {}
    }

    /// Tries the addresses in their order, each a moment after the one before or as soon as that has failed. The first at
    /// which the expected endpoint proves itself wins, and the others are given up.
    ///
    /// - Throws: if none wins, the error of the attempt that came furthest: `refused` before `protocolViolation`,
    ///   `timedOut` and `unreachable`, with all reasons in the message; `closed` if the task is cancelled.
    package static func connect(
        to addresses: [HostPort], expecting peer: EndpointID, credentials: LinkCredentials,
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, options: Options = Options(),
        logger: Logger
    ) async throws(EndpointError) -> MuxConnection {
        let tried = Array(addresses.prefix(options.addressesMax))
        guard !tried.isEmpty else {
            throw EndpointError(.invalidArgument, "no address of endpoint \(peer.short) is known, so none can be tried")
        }
        let race = DialRace(peer: peer, credentials: credentials, group: group, options: options, logger: logger)
        return try await race.run(tried)
    }

    /// The same for a single connection; a caller with many makes the credentials once.
    package static func connect(
        to addresses: [HostPort], expecting peer: EndpointID, key: EndpointKey, options: Options = Options(),
        logger: Logger
    ) async throws(EndpointError) -> MuxConnection {
        try await connect(
            to: addresses, expecting: peer, credentials: LinkCredentials(key), options: options, logger: logger)
    }
}

/// The attempts of one call.
private struct DialRace: Sendable {
    let peer: EndpointID
    let credentials: LinkCredentials
    let group: any EventLoopGroup
    let options: DirectDialler.Options
    let logger: Logger

    private enum Step: Sendable {
        case won(MuxConnection)
        case lost(HostPort, EndpointError)
        /// The attempt of this number has had its time alone.
        case nextMayStart(after: Int)
        case timeIsUp
    }

    func run(_ addresses: [HostPort]) async throws(EndpointError) -> MuxConnection {
        let result = await withTaskGroup(of: Step.self) { group in
            defer { group.cancelAll() }
            group.addTask { await pause(options.timeMax, then: .timeIsUp) }
            var rest = addresses[...]
            var losses: [(HostPort, EndpointError)] = []
            var underWay = 0
            var begun = 0
            func startNext() {
                guard let address = rest.popFirst() else { return }
                underWay += 1
                begun += 1
                let number = begun
                group.addTask { await attempt(address) }
                if !rest.isEmpty { group.addTask { await pause(options.stagger, then: .nextMayStart(after: number)) } }
            }
            startNext()
            while underWay > 0, let step = await group.next() {
                switch step {
                case .won(let connection):
                    group.cancelAll()
                    await closeOthers(&group)
                    return Result<MuxConnection, EndpointError>.success(connection)
                case .lost(let address, let error):
                    underWay -= 1
                    losses.append((address, error))
                    startNext()
                case .nextMayStart(let number): if number == begun { startNext() }
                case .timeIsUp:
                    losses.append((addresses[0], EndpointError(.timedOut, "no answer within \(options.timeMax)")))
                    underWay = 0
                }
            }
            group.cancelAll()
            await closeOthers(&group)
            return .failure(summary(losses))
        }
        return try result.get()
    }

    /// Two attempts may win at the same moment; only one connection is handed on.
    private func closeOthers(_ group: inout TaskGroup<Step>) async {
        for await step in group {
            if case .won(let connection) = step { await connection.close(saying: "another connection was faster") }
        }
    }

    private func summary(_ losses: [(HostPort, EndpointError)]) -> EndpointError {
        guard !Task.isCancelled else {
            return EndpointError(.closed, "the task that wanted a connection to endpoint \(peer.short) was cancelled")
        }
        let order: [EndpointError.Code] = [.refused, .protocolViolation, .timedOut, .unreachable]
        let code = order.first { code in losses.contains { $0.1.code == code } } ?? .unreachable
        let reasons = losses.map { "\($0.0): \($0.1.message)" }.joined(separator: "; ")
        return EndpointError(code, "endpoint \(peer.short) cannot be reached directly (\(reasons))")
    }

    private func pause(_ time: Duration, then step: Step) async -> Step {
        // A pause that is cut short is one whose end nobody waits for.
        try? await Task.sleep(for: time)
        return step
    }

    private func attempt(_ address: HostPort) async -> Step {
        do throws(EndpointError) {
            let channel = try await Dialling(group, options.timeMax).connect(to: address)
            return .won(
                try await MuxConnection.establish(
                    on: channel, as: .client(expecting: peer), credentials: credentials,
                    path: DirectChannel.path(of: channel), options: options.mux, logger: logger))
        } catch {
            return .lost(address, error)
        }
    }
}

/// One attempt to connect a socket, which can be given up at once although a look-up of a name cannot be.
private final class Dialling: Sendable {
    private enum State {
        case begun
        case waiting(CheckedContinuation<Result<any Channel, EndpointError>, Never>)
        case over
    }

    private let group: any EventLoopGroup
    private let timeMax: Duration
    private let state = Mutex(State.begun)

    init(_ group: any EventLoopGroup, _ timeMax: Duration) {
        self.group = group
        self.timeMax = timeMax
    }

    func connect(to address: HostPort) async throws(EndpointError) -> any Channel {
        let cancelled = EndpointError(.closed, "given up")
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isGivenUp = state.withLock { state in
                    guard case .begun = state else { return true }
                    state = .waiting(continuation)
                    return false
                }
                guard !isGivenUp else { return continuation.resume(returning: .failure(cancelled)) }
                begin(address)
            }
        } onCancel: {
            if let waiting = takeWaiting() { waiting.resume(returning: .failure(cancelled)) }
        }.get()
    }

    private func begin(_ address: HostPort) {
        ClientBootstrap(group: group)
            .connectTimeout(.nanoseconds(Int64(timeMax / .nanoseconds(1))))
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { DirectChannel.configure(channel) }
            }
            .connect(host: address.host, port: address.port)
            .whenComplete { [self] result in
                let waiting = takeWaiting()
                switch result {
                case .success(let channel):
                    if let waiting { waiting.resume(returning: .success(channel)) } else { channel.close(promise: nil) }
                case .failure:
                    waiting?.resume(
                        returning: .failure(EndpointError(.unreachable, "nobody answers there")))
                }
            }
    }

    private func takeWaiting() -> CheckedContinuation<Result<any Channel, EndpointError>, Never>? {
        state.withLock { state in
            defer { state = .over }
            guard case .waiting(let continuation) = state else { return nil }
            return continuation
        }
    }
}
