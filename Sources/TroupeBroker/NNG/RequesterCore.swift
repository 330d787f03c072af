import CNNG
import Dispatch

/// A requester's connection, which it seeks again whenever it is lost, and the requests that wait for their answers.
final class RequesterCore: Sendable {
    private struct Pending {
        var completion: NNGRequester.Completion
        var timeout: Duration
        var deadline: DispatchTime
        /// The request, as long as it has not been sent.
        var unsent: Frame?
    }

    private struct State {
        var dialer: StreamDialer?
        /// The connection that stands or is being made; requests go out once it has greeted.
        var wire: (any FrameWire)?
        var isGreeted = false
        var isClosing = false
        var pause: Duration
        /// Why there is no connection.
        var failure: NNGFailure?
        var pending: [UInt32: Pending] = [:]
        var lastNumber: UInt32 = 0
        /// When the deadlines are looked through next.
        var nextExpiry = DispatchTime.distantFuture
    }

    let address: NNGAddress
    private let options: NNGRequester.Options
    private let state: Guarded<State>

    init(_ address: NNGAddress, options: NNGRequester.Options) {
        self.address = address
        self.options = options
        state = Guarded(State(pause: options.redialMin))
    }

    var isConnected: Bool { state.withLock { $0.isGreeted } }

    // MARK: The connection

    /// Starts to seek the connection.
    func start() throws(BrokerError) {
        if !address.isInproc {
            let dialer = try unsafe StreamDialer.make(address) { [weak self] outcome in
                switch unsafe outcome {
                case .success(let stream): unsafe self?.adopt(stream) ?? nng_stream_free(stream)
                case .failure(let failure): self?.dialAgain(failure)
                }
            }
            state.withLock { $0.dialer = dialer }
        }
        dial()
    }

    private func dial() {
        let (dialer, isClosing) = state.withLock { ($0.dialer, $0.isClosing) }
        guard !isClosing else { return }
        guard address.isInproc else { return dialer!.dial() }
        let client = InprocWire(frameHandler())
        guard let server = InprocHub.acceptor(address.url)?(client) else { return dialAgain(.refused) }
        client.connect(to: server)
        state.withLock { $0.wire = client }
        greeted()
    }

    private func dialAgain(_ failure: NNGFailure) {
        let pause = state.withLock { state in
            state.failure = failure
            defer { state.pause = min(state.pause * 2, options.redialMax) }
            return state.pause
        }
        DispatchQueue.global().asyncAfter(deadline: .now() + pause.dispatched) { [weak self] in
            self?.dial()
        }
    }

    private func adopt(_ stream: OpaquePointer) {
        let limits = StreamConnection.Limits(
            bodyBytesMax: options.messageBytesMax, sendTimeout: options.sendTimeout)
        guard let wire = unsafe StreamConnection(adopting: stream, limits, frameHandler()) else {
            return dialAgain(NNGFailure(code: troupe_nng_no_memory))
        }
        let isClosing = state.withLock { state in
            state.wire = wire
            return state.isClosing
        }
        wire.start()
        if isClosing { wire.close() }
    }

    private func frameHandler() -> FrameHandler {
        FrameHandler(
            received: { [weak self] frame, number in
                self?.received(frame, number)
                return true
            },
            greeted: { [weak self] in self?.greeted() },
            ended: { [weak self] in self?.ended($0) })
    }

    private func greeted() {
        let (wire, unsent) = state.withLock { state -> ((any FrameWire)?, [(UInt32, Frame)]) in
            state.isGreeted = true
            state.pause = options.redialMin
            let unsent = state.pending.compactMap { number, pending in pending.unsent.map { (number, $0) }
            }
            for (number, _) in unsent { state.pending[number]?.unsent = nil }
            return (state.wire, unsent.sorted { $0.0 < $1.0 })
        }
        for (number, frame) in unsent { wire?.send(frame, number: number) }
    }

    /// The connection has ended. What was sent over it fails, since nobody knows whether it was done; what was not
    /// waits for the next connection, unless another kind of server was found.
    private func ended(_ end: StreamEnd) {
        let (lost, failure): ([Pending], NNGFailure) = state.withLock { state in
            state.wire = nil
            state.isGreeted = false
            let isForeign = if case .violation = end { true } else { false }
            let lost = state.pending.filter { isForeign || $0.value.unsent == nil }
            for number in lost.keys { state.pending[number] = nil }
            let failure = if case .lost(let failure) = end { failure } else { NNGFailure.closed }
            return (Array(lost.values), failure)
        }
        dialAgain(failure)
        let error =
            switch end {
            case .violation(let what):
                BrokerError(
                    .protocolViolation, "What answers at \(address.shown) is no broker of ours: \(what).")
            case .lost, .closedHere:
                BrokerError(
                    .connectionLost,
                    "The connection to the broker at \(address.shown) broke before it answered (\(failure.words)); "
                        + "whether it acted is not known.")
            }
        for pending in lost { pending.completion(.failure(error)) }
    }

    // MARK: Requests

    func start(
        _ frame: Frame, timeout: Duration, completion: @escaping NNGRequester.Completion
    )
        -> NNGTicket?
    {
        guard frame.body.count <= options.messageBytesMax else {
            let limit = "over the limit of \(options.messageBytesMax): send bulk data as a proxy."
            completion(
                .failure(BrokerError(.tooLarge, "A request of \(frame.body.count) bytes is \(limit)")))
            return nil
        }
        let deadline = DispatchTime.now() + timeout.dispatched
        let started = state.withLock { state -> (number: UInt32, wire: (any FrameWire)?)? in
            guard !state.isClosing else { return nil }
            repeat { state.lastNumber &+= 1 } while state.pending[state.lastNumber] != nil
            let wire = state.isGreeted ? state.wire : nil
            state.pending[state.lastNumber] = Pending(
                completion: completion, timeout: timeout, deadline: deadline,
                unsent: wire == nil ? frame : nil)
            return (state.lastNumber, wire)
        }
        guard let (number, wire) = started else {
            completion(.failure(closed))
            return nil
        }
        wire?.send(frame, number: number)
        expirePending(at: deadline)
        return NNGTicket(number: number)
    }

    private func received(_ frame: Frame, _ number: UInt32) {
        // An answer that nobody waits for any more goes nowhere.
        let pending = state.withLock { $0.pending.removeValue(forKey: number) }
        pending?.completion(.success(frame))
    }

    func cancel(_ ticket: NNGTicket) {
        let pending = state.withLock { $0.pending.removeValue(forKey: ticket.number) }
        let text =
            "The request to the broker at \(address.shown) was cancelled; whether it acted is not known."
        pending?.completion(.failure(BrokerError(.cancelled, text)))
    }

    // MARK: Deadlines

    /// Sees to it that the deadlines are looked through at that time at the latest. One timer serves all requests: it is
    /// set again only for a deadline before those it knows.
    private func expirePending(at time: DispatchTime) {
        let isEarlier = state.withLock { state in
            guard time < state.nextExpiry else { return false }
            state.nextExpiry = time
            return true
        }
        guard isEarlier else { return }
        DispatchQueue.global().asyncAfter(deadline: time) { [weak self] in self?.expirePending() }
    }

    private func expirePending() {
        let now = DispatchTime.now()
        let (expired, next) = state.withLock { state in
            state.nextExpiry = .distantFuture
            let expired = state.pending.filter { $0.value.deadline <= now }
            for number in expired.keys { state.pending[number] = nil }
            return (Array(expired.values), state.pending.values.map(\.deadline).min())
        }
        for pending in expired { pending.completion(.failure(expiry(pending.timeout))) }
        if let next { expirePending(at: next) }
    }

    private func expiry(_ timeout: Duration) -> BrokerError {
        let (isConnected, failure) = state.withLock { ($0.isGreeted, $0.failure) }
        if isConnected {
            return BrokerError(
                .timedOut,
                "The broker at \(address.shown) is connected and did not answer within \(timeout.inMilliseconds); "
                    + "whether it acted is not known.")
        }
        if let failure, failure.isOfTLS { return failure.atAddress(address.shown) }
        let why = failure.map { "\($0.words); " } ?? ""
        return BrokerError(
            .unreachable,
            "No broker answers at \(address.shown) (\(why)tried for \(timeout.inMilliseconds)): "
                + "check that it runs and the address is right.")
    }

    // MARK: The end

    /// Fails what is pending with `closed`, and closes the connection. A second call does nothing.
    func close() {
        let ended = state.withLock { state -> State? in
            guard !state.isClosing else { return nil }
            state.isClosing = true
            defer { state.pending = [:] }
            return state
        }
        guard let ended else { return }
        for pending in ended.pending.values { pending.completion(.failure(closed)) }
        ended.wire?.close()
        ended.dialer?.close()
    }

    private var closed: BrokerError {
        BrokerError(.closed, "The client of the broker at \(address.shown) has been closed.")
    }
}

extension Duration {
    /// For people, who have no use for attoseconds.
    fileprivate var inMilliseconds: String {
        let (seconds, attoseconds) = components
        return "\(seconds * 1000 + (attoseconds + 500_000_000_000_000) / 1_000_000_000_000_000) ms"
    }
}
