/// What one endpoint tells the other and does with what it hears, until both know each other's candidates. No I/O.
///
/// The endpoint with the higher id controls: it makes offers, each with a number. The other answers the newest offer it has
/// heard, beginning anew with each new number, and asks for one when it wants a connection. So whichever side is restarted,
/// at whatever moment, both end up in the same attempt.
struct ICENegotiation {
    enum Action: Sendable, Hashable {
        case send(SignalMessage)
        /// Begin with a new agent, in place of the one there may be.
        case begin(attempt: UInt64)
        case setRemote(ICECredentials)
        case addRemote(String)
        case remoteComplete
    }

    let isControlling: Bool
    /// This run of the answering side.
    private let run: UInt64
    private(set) var attempt: UInt64?
    private var restartCount = 0
    private static let restartCountMax = 8

    private var local = Side()
    private var remote = Side()
    /// Whose answer the offering side has taken.
    private var answeredRun: UInt64?

    /// What one side has told of itself.
    private struct Side {
        var credentials: ICECredentials?
        var candidates: [String] = []
        var isComplete = false
    }

    /// - Parameters:
    ///   - random: a number that no earlier run has used.
    init(own: EndpointID, peer: EndpointID, random: UInt64) {
        precondition(own != peer, "an endpoint does not connect to itself")
        isControlling = peer.publicKey.lexicographicallyPrecedes(own.publicKey)
        // Zero means none in messages.
        run = max(1, random)
    }

    /// Whether the other side was heard in this attempt.
    var heardPeer: Bool { remote.credentials != nil }

    mutating func start() -> [Action] {
        isControlling ? begin(run) : [.send(SignalMessage(kind: .ask, attempt: 0, run: run))]
    }

    private mutating func begin(_ attempt: UInt64) -> [Action] {
        self.attempt = attempt
        local = Side()
        remote = Side()
        answeredRun = nil
        return [.begin(attempt: attempt)]
    }

    // MARK: The agent's side

    mutating func began(_ attempt: UInt64, credentials: ICECredentials) -> [Action] {
        guard attempt == self.attempt else { return [] }
        local.credentials = credentials
        return tell()
    }

    mutating func found(_ candidate: String, in attempt: UInt64) -> [Action] {
        guard attempt == self.attempt, local.candidates.count < SignalMessage.candidatesMax,
            candidate.utf8.count <= SignalMessage.candidateSizeBytesMax, !local.candidates.contains(candidate)
        else { return [] }
        local.candidates.append(candidate)
        return tell()
    }

    mutating func gathered(in attempt: UInt64) -> [Action] {
        guard attempt == self.attempt, !local.isComplete else { return [] }
        local.isComplete = true
        return tell()
    }

    /// Says again what may have been lost.
    func repeated() -> [Action] {
        if let message { return [.send(message)] }
        return isControlling ? [] : [.send(SignalMessage(kind: .ask, attempt: 0, run: run))]
    }

    private func tell() -> [Action] { message.map { [.send($0)] } ?? [] }

    private var message: SignalMessage? {
        guard let attempt, let credentials = local.credentials else { return nil }
        return SignalMessage(
            kind: isControlling ? .offer : .answer, attempt: attempt, run: isControlling ? 0 : run,
            credentials: credentials, candidates: local.candidates, isComplete: local.isComplete)
    }

    // MARK: The peer's side

    mutating func received(_ message: SignalMessage) -> [Action] {
        switch (message.kind, isControlling) {
        case (.ask, true): receivedAsk(message)
        case (.answer, true): receivedAnswer(message)
        case (.offer, false): receivedOffer(message)
        // A message of our own kind is an echo, or comes from a side that is mistaken about who controls.
        case (.ask, false), (.answer, false), (.offer, true): []
        }
    }

    private mutating func receivedAsk(_ message: SignalMessage) -> [Action] {
        // Another run than the one that answered: that one is gone, and its half of this attempt with it.
        if let answeredRun, answeredRun != message.run { return restart((attempt ?? run) &+ 1) }
        return tell()
    }

    private mutating func receivedAnswer(_ message: SignalMessage) -> [Action] {
        guard message.attempt == attempt else { return [] }
        if let answeredRun, answeredRun != message.run { return restart(message.attempt &+ 1) }
        answeredRun = message.run
        return learn(message)
    }

    private mutating func receivedOffer(_ message: SignalMessage) -> [Action] {
        guard message.attempt != attempt else { return learn(message) }
        let begun = restart(message.attempt)
        return begun.isEmpty ? [] : begun + learn(message)
    }

    private mutating func restart(_ attempt: UInt64) -> [Action] {
        guard restartCount < Self.restartCountMax else { return [] }
        restartCount += 1
        return begin(attempt)
    }

    private mutating func learn(_ message: SignalMessage) -> [Action] {
        var actions: [Action] = []
        if remote.credentials == nil, let credentials = message.credentials {
            remote.credentials = credentials
            actions.append(.setRemote(credentials))
        }
        // Credentials do not change within an attempt; a message with others belongs to no agent of ours.
        guard remote.credentials == message.credentials else { return [] }
        for candidate in message.candidates where !remote.candidates.contains(candidate) {
            guard remote.candidates.count < SignalMessage.candidatesMax else { break }
            remote.candidates.append(candidate)
            actions.append(.addRemote(candidate))
        }
        if message.isComplete, !remote.isComplete {
            remote.isComplete = true
            actions.append(.remoteComplete)
        }
        return actions
    }
}
