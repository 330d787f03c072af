import Synchronization

/// One call of ``HolePunch/connect(to:key:configuration:signalling:onStray:)``: the shell around ``ICENegotiation``.
struct PunchAttempt: Sendable {
    enum Event: Sendable {
        case heard([UInt8])
        case path(attempt: UInt64, PathEvent)
        /// Time to say again what may be lost.
        case again
        case timeOut
    }

    let peer: EndpointID
    let key: EndpointKey
    let servers: ICEServers
    let configuration: ICEConfiguration
    let signalling: Signalling
    private let onStray: @Sendable (String) -> Void
    private let certificate: EndpointCertificate

    private static let repeatInterval = Duration.seconds(1)
    private static let eventsMax = 512

    init(
        peer: EndpointID, key: EndpointKey, servers: ICEServers, configuration: ICEConfiguration,
        signalling: Signalling, onStray: @escaping @Sendable (String) -> Void
    ) throws(EndpointError) {
        self.peer = peer
        self.key = key
        self.servers = servers
        self.configuration = configuration
        self.signalling = signalling
        self.onStray = onStray
        certificate = try EndpointCertificate(key)
    }

    func run() async throws(EndpointError) -> QUICConnection {
        let (events, feed) = AsyncStream<Event>.makeStream(bufferingPolicy: .bufferingOldest(Self.eventsMax))
        let result: Result<QUICConnection, EndpointError> = await withTaskGroup { group in
            group.addTask {
                for await bytes in signalling.incoming { feed.yield(.heard(bytes)) }
            }
            group.addTask { await keepTime(feed) }
            let result = await follow(events, feed)
            group.cancelAll()
            return result
        }
        return try result.get()
    }

    private func keepTime(_ feed: AsyncStream<Event>.Continuation) async {
        let clock = ContinuousClock()
        let end = clock.now + configuration.limit
        while clock.now < end {
            guard (try? await clock.sleep(until: min(end, clock.now + Self.repeatInterval))) != nil else { return }
            feed.yield(.again)
        }
        feed.yield(.timeOut)
    }

    private func follow(
        _ events: AsyncStream<Event>, _ feed: AsyncStream<Event>.Continuation
    ) async -> Result<QUICConnection, EndpointError> {
        var progress = PunchProgress(self, feed)
        do throws(EndpointError) {
            try await progress.start()
            for await event in events {
                if let connection = try await progress.take(event) { return .success(connection) }
            }
            throw EndpointError(.closed, "cancelled while it looked for a path to \(peer.short)")
        } catch {
            await progress.abandon(error)
            return .failure(error)
        }
    }

    /// Makes a path's driver, whose events come back as ours.
    func driver(for attempt: UInt64, _ feed: AsyncStream<Event>.Continuation) -> PathDriver {
        PathDriver(peer: peer, onStray: onStray) { feed.yield(.path(attempt: attempt, $0)) }
    }

    func secure(_ driver: PathDriver, isClient: Bool) async throws(EndpointError) {
        try await driver.secure(
            isClient: isClient, certificate: certificate,
            peerKeyInfo: EndpointCertificate.publicKeyInfo(of: peer), options: configuration.quic)
    }
}

/// How far an attempt is.
struct PunchProgress {
    private let attempt: PunchAttempt
    private let feed: AsyncStream<PunchAttempt.Event>.Continuation
    private var negotiation: ICENegotiation
    private var driver: PathDriver?
    private var findings: PunchFindings

    init(_ attempt: PunchAttempt, _ feed: AsyncStream<PunchAttempt.Event>.Continuation) {
        self.attempt = attempt
        self.feed = feed
        negotiation = ICENegotiation(own: attempt.key.id, peer: attempt.peer, random: .random(in: 1 ... .max))
        findings = PunchFindings(
            peer: attempt.peer, hasSTUN: attempt.servers.stun != nil, hasTURN: !attempt.servers.turn.isEmpty)
    }

    mutating func start() async throws(EndpointError) { try await perform(negotiation.start()) }

    /// Ends what there is.
    mutating func abandon(_ error: EndpointError) async {
        await driver?.close(error)
        driver = nil
    }

    /// Goes on with an event; the connection once it is there.
    mutating func take(_ event: PunchAttempt.Event) async throws(EndpointError) -> QUICConnection? {
        switch event {
        case .heard(let bytes):
            // What a stranger puts into the channel is passed over; the peer says its own again.
            if let message = try? SignalMessage.open(bytes, from: attempt.peer, to: attempt.key.id) {
                if let error = message.otherVersion(of: attempt.peer) { throw error }
                findings.heardPeer = true
                try await perform(negotiation.received(message))
            }
        case .again: try await perform(negotiation.repeated())
        case .timeOut: throw findings.failure
        case .path(let number, let event):
            // Events of an agent that was replaced mean nothing any more.
            if number == negotiation.attempt { return try await take(event, of: number) }
        }
        return nil
    }

    private mutating func take(
        _ event: PathEvent, of number: UInt64
    ) async throws(EndpointError) -> QUICConnection? {
        guard let driver else { return nil }
        switch event {
        case .candidate(let line):
            if let type = CandidateType(ofCandidate: line) { findings.localTypes.insert(type) }
            try await perform(negotiation.found(line, in: number))
        case .gathered: try await perform(negotiation.gathered(in: number))
        case .connected:
            findings.foundPath = true
            try await attempt.secure(driver, isClient: negotiation.isControlling)
        case .failed: throw findings.failure
        case .established:
            self.driver = nil
            return QUICConnection(driver)
        case .ended(let error): throw error
        }
        return nil
    }

    private mutating func perform(_ actions: [ICENegotiation.Action]) async throws(EndpointError) {
        for action in actions {
            switch action {
            case .send(let message):
                await attempt.signalling.send(try message.sealed(by: attempt.key, for: attempt.peer))
            case .begin(let number): try await begin(number)
            case .setRemote(let credentials): _ = await driver?.setRemote(credentials)
            case .addRemote(let line):
                // One that this side cannot use, of another kind or family, is passed over.
                if await driver?.addRemote(line) == true, let type = CandidateType(ofCandidate: line) {
                    findings.remoteTypes.insert(type)
                }
            case .remoteComplete: await driver?.remoteCandidatesDone()
            }
        }
    }

    private mutating func begin(_ number: UInt64) async throws(EndpointError) {
        await driver?.close(EndpointError(.closed, "\(attempt.peer.short) began anew"))
        let fresh = attempt.driver(for: number, feed)
        driver = fresh
        findings.localTypes = []
        findings.remoteTypes = []
        findings.foundPath = false
        let credentials = try await fresh.begin(
            controlling: negotiation.isControlling, servers: attempt.servers, configuration: attempt.configuration)
        try await perform(negotiation.began(number, credentials: credentials))
    }
}
