import Synchronization

/// The client side of request-reply: any number of requests at once over one connection that is made, and made again, in
/// the background. A request is sent once: when the connection breaks while an answer is awaited, the request fails and
/// the caller decides.
package final class NNGRequester: Sendable {
    package struct Options: Sendable {
        /// Bytes of a request, and of an answer.
        package var messageBytesMax = 64 << 20
        /// The pause before dialling again, doubled from the first to the second of these.
        package var redialMin = Duration.milliseconds(10)
        package var redialMax = Duration.milliseconds(500)
        /// How long the broker may leave what is sent unread before its connection counts as lost.
        package var sendTimeout = Duration.seconds(30)

        package init() {}
    }

    package typealias Completion = @Sendable (Result<Frame, BrokerError>) -> Void

    private let core: RequesterCore

    /// Starts dialling and returns at once.
    package init(_ address: NNGAddress, options: Options = Options()) throws(BrokerError) {
        core = RequesterCore(address, options: options)
        try core.start()
    }

    deinit {
        core.close()
    }

    /// The address as messages show it.
    package var address: String { core.address.shown }

    /// Whether a connection stands now.
    package var isConnected: Bool { core.isConnected }

    /// Sends a request and awaits its answer.
    ///
    /// Fails with `unreachable` when no connection came about within the timeout, with `timedOut` when one stands and no
    /// answer came, with `connectionLost` when it broke after the request was sent. Cancelling the task ends the wait,
    /// not what the broker does.
    package func request(_ frame: Frame, timeout: Duration) async throws(BrokerError) -> Frame {
        let pending = PendingRequest(core)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<Frame, BrokerError>, Never>) in
                pending.started(start(frame, timeout: timeout) { continuation.resume(returning: $0) })
            }
        } onCancel: {
            pending.cancel()
        }
        return try result.get()
    }

    /// Sends a request; `completion` is called once, on one of nng's threads or (when the request cannot even be sent) on
    /// this one. It must not block.
    @discardableResult
    package func start(
        _ frame: Frame, timeout: Duration, completion: @escaping Completion
    )
        -> NNGTicket?
    {
        core.start(frame, timeout: timeout, completion: completion)
    }

    /// Ends the wait for an answer; the completion gets `cancelled`, unless it has been called.
    package func cancel(_ ticket: NNGTicket) {
        core.cancel(ticket)
    }

    /// Fails what is pending with `closed`, and has the connection closed; waits for nothing.
    package func close() {
        core.close()
    }
}

/// Names one request that is under way.
package struct NNGTicket: Sendable {
    let number: UInt32
}

/// A request whose task may be cancelled before, while or after it is sent.
private final class PendingRequest: Sendable {
    private enum State {
        case new
        case started(NNGTicket?)
        case cancelled
    }
    private let state = Mutex(State.new)
    private let core: RequesterCore

    init(_ core: RequesterCore) {
        self.core = core
    }

    func started(_ ticket: NNGTicket?) {
        let isCancelled = state.withLock { state in
            if case .cancelled = state { return true }
            state = .started(ticket)
            return false
        }
        if isCancelled, let ticket { core.cancel(ticket) }
    }

    func cancel() {
        let ticket = state.withLock { state -> NNGTicket? in
            defer { state = .cancelled }
            guard case .started(let ticket) = state else { return nil }
            return ticket
        }
        if let ticket { core.cancel(ticket) }
    }
}
