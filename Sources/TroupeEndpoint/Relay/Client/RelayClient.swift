package import Logging
package import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Bytes from another endpoint, which nobody but the two has looked at if they have sealed them.
package struct RelaySignal: Sendable {
    package var from: EndpointID
    package var bytes: [UInt8]
}

/// A pipe that another endpoint has asked for. Its channel is as ``RelayClient/openPipe(to:)`` tells.
package struct IncomingPipe: Sendable {
    /// As the relay says; what runs over the pipe has to prove it.
    package var from: EndpointID
    package var channel: any Channel
}

/// How it stands with one relay.
package struct RelayStatus: Sendable, Hashable {
    package var url: RelayURL
    package var isConnected: Bool
    /// Why not, as far as that is known.
    package var failure: EndpointError?
}

/// An endpoint at its relays: there for others to find, and able to find them. It comes back by itself, for ever.
package final class RelayClient: Service, Sendable {
    /// Signals that wait for their reader; older ones go.
    private static let signalCountMax = 1024
    package static let watchCountMax = 4096

    private let configuration: RelayClientConfiguration
    private let logger: Logger
    private let dialler: RelayDialler
    private let links: [RelayLink]
    private let table = PresenceTable()
    private let signalSink: AsyncStream<RelaySignal>.Continuation
    private let pipeSink: AsyncStream<IncomingPipe>.Continuation
    private let asked: AsyncStream<Asked>
    private let askedSink: AsyncStream<Asked>.Continuation
    private let statusSink: AsyncStream<[RelayStatus]>.Continuation
    private let openingCount = Mutex(0)

    /// What others send. One reader; it ends with the client.
    package let signals: AsyncStream<RelaySignal>
    /// Pipes that others have opened. One reader, who closes what he does not want; it ends with the client.
    package let pipes: AsyncStream<IncomingPipe>
    /// How it stands with all relays, after each change; who is slow gets the last. One reader.
    package let statuses: AsyncStream<[RelayStatus]>

    private struct Asked: Sendable {
        var link: RelayLink
        var from: EndpointID
        var token: PipeToken
    }

    /// - Throws: ``EndpointError`` when the configuration cannot be used.
    package init(
        _ configuration: RelayClientConfiguration, logger: Logger = Logger(label: "troupe.relay.client"),
        group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) throws(EndpointError) {
        try configuration.check()
        self.configuration = configuration
        self.logger = logger
        dialler = try RelayDialler(configuration, group: group)
        links = configuration.relays.enumerated().map { index, url in
            RelayLink(url, index: index, answerTimeMax: configuration.answerTimeMax)
        }
        (signals, signalSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.signalCountMax))
        let pipesMax = configuration.incomingPipesMax
        (pipes, pipeSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(pipesMax))
        (asked, askedSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(pipesMax))
        (statuses, statusSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Stays connected until its task is cancelled or its service group shuts down.
    package func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            for link in links { group.addTask { await self.keep(link) } }
            group.addTask { await self.openWhatIsAsked() }
            // Ends by the one or the other; cancellation is how an endpoint stops.
            try? await gracefulShutdown()
            group.cancelAll()
        }
        table.finish()
        signalSink.finish()
        pipeSink.finish()
        statusSink.finish()
    }
}

// MARK: Asking

extension RelayClient {
    /// Endpoints that were watched and came or went. One reader at a time; it ends with the client.
    package var presence: PresenceChanges { table.changes }

    package var status: [RelayStatus] {
        links.map { RelayStatus(url: $0.url, isConnected: $0.isUp, failure: $0.isUp ? nil : $0.failure) }
    }

    /// Watches these endpoints and no others, at all relays, also after those were away.
    package func watch(_ ids: Set<EndpointID>) throws(EndpointError) {
        guard ids.count <= Self.watchCountMax else {
            throw EndpointError(
                .limitExceeded, "\(ids.count) endpoints are more than a relay lets one watch (\(Self.watchCountMax))")
        }
        let (added, removed) = table.watch(ids)
        for link in links {
            link.say(Self.parts(removed).map { .unwatch($0) } + Self.parts(added).map { .watch($0) })
        }
    }

    private static func parts(_ ids: [EndpointID]) -> [[EndpointID]] {
        stride(from: 0, to: ids.count, by: RelayCoding.idCountMax).map {
            Array(ids[$0..<min($0 + RelayCoding.idCountMax, ids.count)])
        }
    }

    /// Sends bytes to another endpoint through the first relay that can reach it. They arrive at most once.
    package func signal(to id: EndpointID, bytes: [UInt8]) async throws(EndpointError) {
        _ = try await atFirst(id) { link throws(EndpointError) in
            if let limit = link.welcome?.signalSizeBytesMax, bytes.count > limit {
                throw EndpointError(
                    .limitExceeded,
                    "a signal of \(bytes.count) bytes is more than the relay \(link.url) takes (\(limit))")
            }
            return try await link.ask { .signal(request: $0, to: id, bytes: bytes) }
        }
    }

    /// Opens a pipe to another endpoint through the first relay that can reach it and forwards.
    ///
    /// The channel carries plain buffers in both directions and knows nothing of what is in them: the relay can read and
    /// change them, so run TLS over it. It does not read by itself (`autoRead` is off), so nothing is lost until handlers
    /// are added at its tail, on its event loop, and `autoRead` is turned on there or `read()` is called. Do so at once: a
    /// pipe that is not read does not answer the relay's pings either. Its writability follows the peer's reading.
    /// `close()` arrives at the peer after all that was written; one direction cannot be closed by itself.
    package func openPipe(to id: EndpointID) async throws(EndpointError) -> any Channel {
        try await atFirst(id) { link throws(EndpointError) in
            switch try await link.ask({ .connect(request: $0, to: id) }) {
            case .pipe(let token): return try await self.open(token, link)
            case .accepted:
                throw EndpointError(.protocolViolation, "the relay \(link.url) answers a question for a pipe with none")
            }
        }
    }

    private func open(_ token: PipeToken, _ link: RelayLink) async throws(EndpointError) -> any Channel {
        let url = link.url
        let frameSizeBytesMax = min(
            max(1, link.welcome?.frameSizeBytesMax ?? 1 << 14), RelayDialler.frameSizeBytesMax)
        return try await dialler.open(url, .pipe(token), frameSizeBytesMax: frameSizeBytesMax) {
            RelayPipeEnd($0, url: url)
        }.channel
    }

    /// Why an endpoint that is watched is not to be reached now: no relay has it that we are connected to, and one has said so. It
    /// says when that changes.
    package func absence(of id: EndpointID) -> EndpointError? {
        let without = table.relays(without: id)
        guard !without.isEmpty, links.allSatisfy({ without.contains($0.index) || !$0.isUp }) else { return nil }
        let names = links.map(\.url.description).joined(separator: " or ")
        return EndpointError(
            .unreachable,
            "endpoint \(id.short) is not at \(names): it does not run, or uses other relays or another tenant")
    }

    /// Tries the relays where the endpoint was seen, then the others, until one does it. Those that say it is not there are not
    /// asked.
    private func atFirst<Value: Sendable>(
        _ id: EndpointID, _ body: @Sendable (RelayLink) async throws(EndpointError) -> Value
    ) async throws(EndpointError) -> Value {
        let known = table.relays(of: id)
        let without = table.relays(without: id)
        let order =
            links.filter { known.contains($0.index) }
            + links.filter { !known.contains($0.index) && !without.contains($0.index) }
        var failure =
            absence(of: id)
            ?? EndpointError(.unreachable, "no relay is named, so \(id.short) cannot be reached through one")
        for link in order {
            do throws(EndpointError) {
                return try await body(link)
            } catch {
                failure = error
                if Task.isCancelled { break }
            }
        }
        throw failure
    }
}

// MARK: Staying there

extension RelayClient {
    private func keep(_ link: RelayLink) async {
        var wait = configuration.retry.lowerBound
        while !Task.isCancelled {
            let started = ContinuousClock.now
            let end = await stay(link)
            table.relayIsLost(link.index)
            link.hasLost(end)
            statusSink.yield(status)
            if Task.isCancelled { return }
            // One that lasted was good, so the next try may be soon.
            if ContinuousClock.now - started > configuration.retry.upperBound { wait = configuration.retry.lowerBound }
            logger.info("\(end)")
            let varied = wait * Double.random(in: 0.5...1)
            guard (try? await Task.sleep(for: varied)) != nil else { return }
            wait = min(wait * 2, configuration.retry.upperBound)
        }
    }

    /// Connects and stays so.
    ///
    /// - Returns: why that is over.
    private func stay(_ link: RelayLink) async -> EndpointError {
        do throws(EndpointError) {
            let ending = Ending()
            let opened = try await dialler.open(
                link.url, .presence, frameSizeBytesMax: RelayDialler.frameSizeBytesMax
            ) { handshake in
                RelayPresenceEnd(handshake, url: link.url) { [self] in
                    take($0, link)
                } onEnd: {
                    ending.set($0)
                }
            }
            link.hasConnected(opened)
            link.say(Self.parts(table.watched).map { .watch($0) })
            statusSink.yield(status)
            logger.info("Connected to the relay \(link.url)")
            await withTaskCancellationHandler {
                try? await opened.channel.closeFuture.get()
            } onCancel: {
                opened.channel.close(promise: nil)
            }
            return ending.reason ?? EndpointError(.unreachable, "the connection to \(link.url) is lost")
        } catch {
            return error
        }
    }

    /// Called on the connection's event loop, with no time to wait.
    private func take(_ event: RelayEvent, _ link: RelayLink) {
        switch event {
        case .accepted(let request): link.settle(request, .success(.accepted))
        case .pipe(let request, let token): link.settle(request, .success(.pipe(token)))
        case .refused(let request?, let reason, let detail):
            link.settle(request, .failure(RelayLoginSteps.refusal(link.url, reason, detail)))
        case .presence(let present, let absent): table.relay(link.index, present: present, absent: absent)
        case .signal(let from, let bytes): signalSink.yield(RelaySignal(from: from, bytes: bytes))
        case .incoming(let from, let token): askedSink.yield(Asked(link: link, from: from, token: token))
        case .refused(nil, _, _), .challenge, .welcome, .ready: break
        }
    }

    private func openWhatIsAsked() async {
        await withDiscardingTaskGroup { group in
            for await asked in asked {
                let isFree = openingCount.withLock { count in
                    guard count < configuration.incomingPipesMax else { return false }
                    count += 1
                    return true
                }
                // The other side is told by the relay, when its time for the pipe is over.
                guard isFree else { continue }
                group.addTask {
                    await self.answer(asked)
                    self.openingCount.withLock { $0 -= 1 }
                }
            }
        }
    }

    private func answer(_ asked: Asked) async {
        do throws(EndpointError) {
            let channel = try await open(asked.token, asked.link)
            switch pipeSink.yield(IncomingPipe(from: asked.from, channel: channel)) {
            case .enqueued: break
            case .dropped, .terminated: channel.close(promise: nil)
            @unknown default: channel.close(promise: nil)
            }
        } catch {
            logger.info("A pipe from \(asked.from.short) did not come about: \(error)")
        }
    }
}

/// Why a connection ended, told by its event loop.
private final class Ending: Sendable {
    private let state = Mutex<EndpointError?>(nil)

    var reason: EndpointError? { state.withLock { $0 } }

    func set(_ error: EndpointError) { state.withLock { $0 = $0 ?? error } }
}
