import Logging
import Synchronization
import TroupeBroker
import TroupeCore

/// Another site: the connections to its endpoint, and the mail that waits for it.
final class Peer: Sendable {
    /// Ways to a peer; tries them and returns the first connection.
    typealias Dial = @Sendable (TrustedPeer) async throws(EndpointError) -> any PeerConnection

    /// Connections at once; the oldest goes when there are more.
    private static let connectionsMax = 4

    private struct State {
        var trusted: TrustedPeer
        var mails: [OutboundMail] = []
        /// The last one is used for what begins.
        var connections: [(number: Int, connection: any PeerConnection)] = []
        var connectionCount = 0
        var failure: EndpointError?
        /// That it speaks something else, as was seen when it came; to try again does not change that.
        var violation: EndpointError?
        var isGone = false
        /// Streams that are served, and how often that has changed.
        var active = 0
        var activity = 0
        /// Counts what makes another try worth while.
        var wakes = 0
    }
    private let state: Mutex<State>
    private let local: LocalSite
    private let dial: Dial
    /// The same without the relay's help, for a peer that is reached by it.
    private let dialBetter: Dial
    private let options: EndpointOptions
    private let logger: Logger
    private let news = Nudge()
    private let objects: ObjectServer
    private let budget = FrameBudget()
    private let refusals: RefusalLog
    /// One dial at a time.
    private let dialling = Mutex<Task<Result<any PeerConnection, EndpointError>, Never>?>(nil)

    init(
        _ trusted: TrustedPeer, local: LocalSite, objects: ObjectServer, options: EndpointOptions, logger: Logger,
        dial: @escaping Dial, dialBetter: @escaping Dial
    ) {
        self.dialBetter = dialBetter
        state = Mutex(State(trusted: trusted))
        self.local = local
        self.objects = objects
        self.options = options
        self.dial = dial
        var logger = logger
        logger[metadataKey: "site"] = "\(trusted.site)"
        self.logger = logger
        refusals = RefusalLog(logger)
    }

    var trusted: TrustedPeer { state.withLock { $0.trusted } }

    /// The trust file says something else of it.
    func update(_ trusted: TrustedPeer) {
        let old = state.withLock { state in
            defer { state.trusted = trusted }
            return state.trusted
        }
        // What runs under another policy or to another key ends.
        if old != trusted { closeAll() }
    }

    /// It has come, or may be reached again: whoever waits to try does not.
    func wake() { state.withLock { $0.wakes += 1 } }

    /// It is trusted no more.
    func part() {
        state.withLock { $0.isGone = true }
        closeAll()
    }

    private func closeAll() {
        let connections = state.withLock { $0.connections.map(\.connection) }
        // Unstructured: closing waits for nothing that we hold.
        for connection in connections { Task { await connection.close() } }
    }

    // MARK: Mail

    /// The mail that waits for the site, of all shards.
    func setMails(_ mails: [OutboundMail]) {
        for mail in mails { mail.attend { [weak self] in self?.news.poke() } }
        state.withLock { $0.mails = mails }
        news.poke()
    }

    /// Keeps a link while there is mail, until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            var served: Set<ObjectIdentifier> = []
            while !Task.isCancelled {
                for mail in state.withLock({ $0.mails }) where mail.openCount > 0 && !mail.isVoid {
                    guard served.insert(ObjectIdentifier(mail)).inserted else { continue }
                    group.addTask { await self.send(mail) }
                }
                await news.wait()
                // A mail that is served twice would send twice; one that is over may come again.
                served = served.intersection(state.withLock { $0.mails.map { ObjectIdentifier($0) } })
            }
        }
    }

    /// Sends one shard's mail for as long as its lease lasts.
    private func send(_ mail: OutboundMail) async {
        var failures = 0
        while !mail.isVoid, !Task.isCancelled, !state.withLock({ $0.isGone }) {
            guard mail.openCount > 0 else {
                await mail.work.wait()
                continue
            }
            do throws(EndpointError) {
                let stream = try await connection().openStream(for: .mail)
                beginActivity()
                defer { endActivity() }
                let since = ContinuousClock.now
                defer { if ContinuousClock.now - since > .seconds(1) { failures = 0 } }
                try await mail.serve(stream, keeping: local.kept, for: trusted, idleTimeMax: options.idleTimeMax)
                failures = 0
            } catch {
                failures += 1
                note(error)
                await pause(after: failures)
            }
        }
    }

    private func note(_ error: EndpointError) {
        let isNew = state.withLock { state in
            defer { state.failure = error }
            return state.failure != error
        }
        if isNew { logger.warning("the site is not reached; trying again", metadata: ["error": "\(error)"]) }
    }

    /// It came, and this is why there is no connection. What may pass it tries again itself.
    func noteIncoming(_ error: EndpointError) {
        guard error.code == .protocolViolation else { return }
        let isNew = state.withLock { state in
            defer { state.violation = error }
            return state.violation != error
        }
        if isNew { logger.warning("the site cannot be spoken with", metadata: ["error": "\(error)"]) }
    }

    /// Longer with each failure, and never alike for all, so that a peer that comes back is not overrun.
    private func pause(after failures: Int) async {
        let most = min(options.retryPauseMax, options.retryPauseMin * (1 << min(failures, 10)))
        let pause = most * Double.random(in: 0.5...1)
        let before = state.withLock { $0.wakes }
        let end = ContinuousClock.now + pause
        while ContinuousClock.now < end, !Task.isCancelled {
            // The other side may have come to us, or to a relay, meanwhile.
            if state.withLock({ $0.wakes }) != before { return }
            try? await Task.sleep(for: min(.milliseconds(100), pause))
        }
    }

    // MARK: Connections

    /// A connection that is there, or a new one.
    func connection() async throws(EndpointError) -> any PeerConnection {
        if let last = state.withLock({ $0.connections.last?.connection }) { return last }
        let task = dialling.withLock { dialling in
            if let dialling { return dialling }
            // Unstructured: shared by all who ask at the time; bounded by the dialler's own limits.
            let task = Task { () -> Result<any PeerConnection, EndpointError> in
                defer { self.dialling.withLock { $0 = nil } }
                do throws(EndpointError) {
                    let connection = try await self.dial(self.trusted)
                    self.adopt(connection)
                    return .success(connection)
                } catch {
                    return .failure(error)
                }
            }
            dialling = task
            return task
        }
        return try await task.value.get()
    }

    /// Takes over a connection that somebody made, and serves what the other side opens on it. It may be given twice.
    func adopt(_ connection: any PeerConnection) {
        let (number, surplus) = state.withLock { state -> (Int?, (any PeerConnection)?) in
            guard !state.connections.contains(where: { $0.connection === connection }) else { return (nil, nil) }
            state.connectionCount += 1
            state.wakes += 1
            state.connections.append((state.connectionCount, connection))
            state.failure = nil
            state.violation = nil
            let surplus = state.connections.count > Self.connectionsMax ? state.connections.first?.connection : nil
            return (state.connectionCount, surplus)
        }
        guard let number else { return }
        // Unstructured, both: they end with the connection.
        if let surplus { Task { await surplus.close() } }
        if connection.path.kind == .relayed { Task { await self.improve(on: number, connection) } }
        logger.info("linked", metadata: ["path": "\(connection.path)"])
        news.poke()
        // Unstructured: it ends with the connection.
        Task {
            await self.serve(connection)
            await connection.close()
            self.state.withLock { state in state.connections.removeAll { $0.number == number } }
            self.logger.info("the link is over", metadata: ["path": "\(connection.path)"])
            self.news.poke()
        }
    }

    /// Looks now and then for a path that needs no relay, for as long as the peer is reached by one.
    private func improve(on number: Int, _ connection: any PeerConnection) async {
        while (try? await Task.sleep(for: options.improvePause)) != nil {
            guard state.withLock({ $0.connections.last?.number == number }) else { return }
            guard let better = try? await dialBetter(trusted) else { continue }
            adopt(better)
            await connection.close()
            return
        }
    }

    private func serve(_ connection: any PeerConnection) async {
        let trusted = trusted
        await withDiscardingTaskGroup { group in
            while let stream = await connection.nextStream() {
                self.beginActivity()
                group.addTask {
                    await self.serve(stream, of: trusted)
                    self.endActivity()
                }
            }
            group.cancelAll()
        }
    }

    private func serve(_ stream: any PeerStream, of trusted: TrustedPeer) async {
        do throws(EndpointError) {
            guard let first = try await stream.read(atMost: 1)?.first else { return stream.reset() }
            switch StreamPurpose(rawValue: first) {
            case .mail:
                try await InboundMail(from: trusted, at: local, budget: budget, refusals: refusals)
                    .serve(stream)
            case .object: try await objects.serve(stream, to: trusted)
            case .keep: try await local.kept.serve(stream, to: trusted)
            case .echo: try await echo(stream)
            case nil:
                stream.reset()
                logger.warning(
                    "the peer opened a stream for a purpose that is not known", metadata: ["purpose": "\(first)"])
            }
        } catch {
            stream.reset()
            guard error.code != .closed, error.code != .unreachable else { return }
            logger.warning("a stream of the peer failed", metadata: ["error": "\(error)"])
        }
    }

    private func echo(_ stream: any PeerStream) async throws(EndpointError) {
        var left = 64 << 10
        while left > 0, let bytes = try await stream.read(atMost: left) {
            left -= bytes.count
            try await stream.write(bytes)
        }
        try await stream.finish()
    }

    private func beginActivity() {
        state.withLock { state in
            state.active += 1
            state.activity += 1
        }
    }

    /// Closes what nobody uses, after a while.
    private func endActivity() {
        let (isIdle, activity) = state.withLock { state in
            state.active -= 1
            state.activity += 1
            return (state.active == 0, state.activity)
        }
        guard isIdle else { return }
        // Unstructured: one look, after a time that is bounded.
        Task {
            try? await Task.sleep(for: options.idleTimeMax)
            if state.withLock({ $0.active == 0 && $0.activity == activity }) { closeAll() }
        }
    }

    // MARK: Looking

    var status: PeerStatus {
        let mails = state.withLock { $0.mails }
        let openCount = mails.reduce(0) { $0 + $1.openCount }
        return state.withLock { state in
            let last = state.connections.last?.connection
            return PeerStatus(
                site: state.trusted.site, id: state.trusted.id.text, isLinked: last != nil,
                path: last?.path.description,
                roundTripMicroseconds: last?.roundTrip.map { Int64($0 / .microseconds(1)) },
                openCount: openCount,
                failure: last == nil ? (state.violation ?? state.failure)?.message : nil)
        }
    }
}
