import NIOCore
import Synchronization

/// The connection to one relay: there or not there, and what it was asked that it has not answered.
final class RelayLink: Sendable {
    enum Answer: Sendable {
        case accepted
        case pipe(PipeToken)
    }

    /// Questions to a relay that wait for an answer.
    private static let requestCountMax = 1024

    private typealias Waiting = CheckedContinuation<Result<Answer, EndpointError>, Never>

    private struct State {
        var channel: (any Channel)?
        var welcome: RelayWelcome?
        var lastRequest: UInt32 = 0
        var waiting: [UInt32: Waiting] = [:]
        var failure: EndpointError?
    }

    let url: RelayURL
    let index: Int
    private let answerTimeMax: Duration
    private let state = Mutex(State())

    init(_ url: RelayURL, index: Int, answerTimeMax: Duration) {
        self.url = url
        self.index = index
        self.answerTimeMax = answerTimeMax
    }

    var isUp: Bool { state.withLock { $0.channel != nil } }
    var welcome: RelayWelcome? { state.withLock { $0.welcome } }
    /// Why it is not up, as far as that is known.
    var failure: EndpointError? { state.withLock { $0.failure } }

    func hasConnected(_ opened: RelayDialler.Opened) {
        state.withLock { state in
            state.channel = opened.channel
            state.welcome = opened.welcome
            state.failure = nil
        }
    }

    func hasLost(_ error: EndpointError) {
        let waiting = state.withLock { state in
            state.channel = nil
            state.failure = error
            defer { state.waiting = [:] }
            return state.waiting
        }
        for continuation in waiting.values { continuation.resume(returning: .failure(error)) }
    }

    /// Says something that has no answer; nothing happens while the relay is away, since all is said again when it is back.
    func say(_ requests: [RelayRequest]) {
        guard let channel = state.withLock({ $0.channel }) else { return }
        for request in requests { channel.writeAndFlush(request, promise: nil) }
    }

    /// Asks, and waits for the answer.
    func ask(_ request: (UInt32) -> RelayRequest) async throws(EndpointError) -> Answer {
        let number = state.withLock { state in
            state.lastRequest &+= 1
            return state.lastRequest
        }
        let message = request(number)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in start(number, message, continuation) }
        } onCancel: {
            settle(number, .failure(EndpointError(.closed, "the answer of the relay \(url) is no longer wanted")))
        }
        return try result.get()
    }

    private func start(_ number: UInt32, _ message: RelayRequest, _ continuation: Waiting) {
        let started: Result<any Channel, EndpointError> = state.withLock { state in
            guard let channel = state.channel else {
                return .failure(state.failure ?? EndpointError(.unreachable, "the relay \(url) is not reached yet"))
            }
            guard state.waiting.count < Self.requestCountMax, channel.isWritable else {
                return .failure(
                    EndpointError(.limitExceeded, "too much waits for the relay \(url) already: try again later"))
            }
            state.waiting[number] = continuation
            return .success(channel)
        }
        switch started {
        case .failure(let error): continuation.resume(returning: .failure(error))
        case .success(let channel):
            channel.writeAndFlush(message, promise: nil)
            channel.eventLoop.scheduleTask(in: TimeAmount(answerTimeMax)) { [self] in
                settle(
                    number,
                    .failure(
                        EndpointError(.timedOut, "the relay \(url) has not answered within \(answerTimeMax)")))
            }
            // Cancelled before it waited: nobody else would settle it.
            if Task.isCancelled {
                settle(number, .failure(EndpointError(.closed, "the answer of \(url) is no longer wanted")))
            }
        }
    }

    func settle(_ number: UInt32, _ result: Result<Answer, EndpointError>) {
        state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: result)
    }
}
