import CBOR
import Dispatch
import Synchronization
package import TroupeCore

/// A broker's shard as its clients see it. Operations are idempotent, so what a broken connection leaves open is asked again,
/// up to a bound; an embedded broker whose process died is followed to its successor.
package final class BrokerShard: Shard {
    package struct Limits: Sendable {
        /// How long a first connection is tried; an embedded broker, which is known to be there, gets ``patience``.
        package var connectTimeout = Duration.seconds(5)
        /// How long an operation is tried: past it the exchange counts as unreachable.
        package var patience = Duration.seconds(30)
        /// How long one answer is waited for, beyond the time that a read waits for news.
        package var answerTimeout = Duration.seconds(10)
        /// How long a connection is waited for before it is looked whether the broker has moved.
        package var movedTimeout = Duration.milliseconds(500)
        /// The pause before an operation is tried again, doubled from the first to the second of these.
        package var pauseMin = Duration.milliseconds(5)
        package var pauseMax = Duration.milliseconds(200)
        package init() {}
    }

    private struct State {
        var channel: BrokerChannel
        var isClosed = false
        var isDialling = false
        /// The latest moment of the broker's history of which an answer told.
        var seen: HistoryMark?
        /// That the broker went back in time, until somebody has asked for it.
        var untold: ExchangeError?

        /// - Parameters:
        ///   - sent: what was known when it was asked.
        ///   - loss: that what was known then is gone. All who asked with that knowledge are told; it is one loss.
        mutating func note(_ mark: HistoryMark, sent: HistoryMark?, loss: ExchangeError? = nil) {
            if let loss, seen?.run == sent?.run { untold = loss }
            if let known = seen, known.run == mark.run {
                seen = HistoryMark(run: mark.run, step: max(mark.step, known.step))
            } else if mark.run != sent?.run {
                // A new run; or else the answer is a late one of an older run.
                seen = mark
            }
        }
    }

    private let state: Mutex<State>
    private let dialler: any BrokerDialler
    private let limits: Limits
    package let durability: DurabilityStatement
    package var executor: ArrivalExecutor? { .shared }

    /// Connects, and asks the broker what it promises.
    ///
    /// - Throws: ``ExchangeError`` within ``Limits/connectTimeout``, which names the address and what to do.
    init(_ dialler: any BrokerDialler, limits: Limits) async throws(ExchangeError) {
        self.limits = limits
        self.dialler = dialler
        var channel: BrokerChannel?
        do throws(BrokerError) {
            let description = try await Self.describe(dialler, limits, &channel)
            dialler.note(description)
            durability = description.durability
            state = Mutex(State(channel: channel!))
        } catch {
            let channel = channel
            await Self.offPool {
                channel?.close()
                dialler.leave()
            }
            throw ExchangeError(error)
        }
    }

    private static func describe(
        _ dialler: any BrokerDialler, _ limits: Limits, _ channel: inout BrokerChannel?
    ) async throws(BrokerError) -> BrokerDescription {
        // Where somebody holds the leadership, it may still be reading its journal.
        let deadline = ContinuousClock.now + (dialler.mayMove ? limits.patience : limits.connectTimeout)
        while true {
            let found = try await dial(dialler, instead: channel)
            channel = found
            let left = deadline - .now
            let timeout = dialler.mayMove ? min(left, limits.movedTimeout) : left
            do throws(BrokerError) {
                let answer = try await found.request(
                    BrokerRequest.describe.encodedOrTrap(), timeout: max(timeout, .milliseconds(1)))
                guard let description = try? CBORDecoder().decode(BrokerDescription.self, from: answer) else {
                    throw BrokerError(
                        .unsupportedVersion,
                        "The broker at \(found.address) speaks another version: upgrade the older side.")
                }
                return description
            } catch {
                // A last attempt without time to succeed would only hide how long this one took.
                guard error.mayPass, deadline - .now > limits.pauseMax else { throw error }
                try? await Task.sleep(for: limits.pauseMin)
                if Task.isCancelled {
                    throw BrokerError(.cancelled, "The connection to \(found.address) was given up.")
                }
            }
        }
    }

    // MARK: History

    /// The numbers of the broker's run and of its step, of eight bytes each.
    package var seen: ShardMoment? {
        state.withLock(\.seen).map { ShardMoment(stretch: Self.bytes($0.run), progress: Self.bytes($0.step)) }
    }

    package func note(seen moment: ShardMoment) -> Bool {
        guard let run = Self.number(moment.stretch), let step = Self.number(moment.progress) else { return false }
        let mark = HistoryMark(run: run, step: step)
        return state.withLock { state in
            guard state.seen?.run == mark.run else { return false }
            state.note(mark, sent: mark)
            return true
        }
    }

    private static func bytes(_ number: UInt64) -> [UInt8] {
        stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> UInt64($0)) }
    }

    private static func number(_ bytes: [UInt8]) -> UInt64? {
        bytes.count == 8 ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : nil
    }

    package func takeLoss() -> ExchangeError? {
        state.withLock { state in
            defer { state.untold = nil }
            return state.untold
        }
    }

    // MARK: Operations

    /// An operation under way is finished also when the task is cancelled; it is then not tried again.
    package func perform(_ operation: Operation) async throws(ExchangeError) -> Answer {
        try await ask(operation, wait: .zero)
    }

    package func deliveries(
        _ worker: WorkerID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Deliveries {
        try await read(.deliveries(worker, after: cursor, max: max), timeout).deliveries(of: worker)
    }

    package func receipts(
        _ client: ClientID, after cursor: Cursor, max: Int, timeout: Duration
    ) async throws(ExchangeError) -> Receipts {
        try await read(.receive(client, after: cursor, max: max), timeout).receipts
    }

    /// A read that waits. A broker that has no room to hold it answers at once, which must not make us ask in a circle.
    private func read(_ operation: Operation, _ timeout: Duration) async throws(ExchangeError) -> Answer {
        guard !Task.isCancelled else { return operation.emptyAnswer }
        let start = ContinuousClock.now
        let answer = try await ask(operation, wait: min(timeout, BrokerRequest.waitMax))
        let pause = min(.milliseconds(20), timeout / 2)
        if answer.isEmptyRead, ContinuousClock.now - start < pause { try? await Task.sleep(for: pause) }
        return answer
    }

    private func ask(_ operation: Operation, wait: Duration) async throws(ExchangeError) -> Answer {
        let seen = state.withLock(\.seen)
        let request: [UInt8]
        do {
            request = try BrokerRequest.perform(operation, wait: wait, seen: seen).encoded()
        } catch {
            throw ExchangeError(.invalidArgument, "the operation '\(operation.name)' cannot be encoded: \(error)")
        }
        let deadline = ContinuousClock.now + limits.patience
        var pause = limits.pauseMin
        while true {
            let channel = try channel()
            var lost: ExchangeError?
            do throws(BrokerError) {
                let answer = try await channel.request(
                    request, timeout: timeout(channel, wait, deadline), isCancellable: wait > .zero)
                let decoded = try decode(answer, operation, channel)
                if case .wentBack(let loss) = decoded.content { lost = .wentBack(loss, at: channel.address) }
                state.withLock { $0.note(decoded.mark, sent: seen, loss: lost) }
                if case .answer(let answer) = decoded.content { return answer }
            } catch {
                if wait > .zero, Task.isCancelled { return operation.emptyAnswer }
                // A last attempt without time to succeed would only hide how long this one took.
                guard try mayRetry(error, channel), deadline - .now > pause, !Task.isCancelled else {
                    throw ExchangeError(error)
                }
            }
            if let lost { throw lost }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, limits.pauseMax)
            if let error = await redial(instead: channel) { throw ExchangeError(error) }
        }
    }

    /// Where the broker may have moved, a connection is not waited for longer than it takes to look.
    private func timeout(_ channel: BrokerChannel, _ wait: Duration, _ deadline: ContinuousClock.Instant) -> Duration {
        let left = max(deadline - .now, .milliseconds(1))
        if !channel.isConnected { return dialler.mayMove ? min(limits.movedTimeout + wait, left + wait) : left + wait }
        return min(limits.answerTimeout, left) + wait
    }

    private func mayRetry(_ error: BrokerError, _ channel: BrokerChannel) throws(ExchangeError) -> Bool {
        if error.mayPass { return true }
        // Another one took the channel's place while this was under way.
        let current = try self.channel()
        return error.code == .closed && current !== channel
    }

    private func decode(
        _ answer: [UInt8], _ operation: Operation, _ channel: BrokerChannel
    ) throws(BrokerError) -> BrokerAnswer {
        do {
            return try BrokerAnswer(decoding: answer)
        } catch {
            throw BrokerError(
                .unsupportedVersion,
                "The answer of the broker at \(channel.address) to '\(operation.name)' cannot be read (\(error)): upgrade the older side."
            )
        }
    }

    private func channel() throws(ExchangeError) -> BrokerChannel {
        let (channel, isClosed) = state.withLock { ($0.channel, $0.isClosed) }
        guard !isClosed else { throw ExchangeError(.closed, "the exchange at \(channel.address) has been closed") }
        return channel
    }

    // MARK: Connections

    /// Looks where the broker is now, if the channel has no connection. One looks at a time; a channel to where the broker
    /// was reconnects by itself.
    ///
    /// - Returns: an error that will not pass.
    private func redial(instead old: BrokerChannel) async -> BrokerError? {
        guard dialler.mayMove, !old.isConnected else { return nil }
        let isMine = state.withLock { state in
            guard state.channel === old, !state.isClosed, !state.isDialling else { return false }
            state.isDialling = true
            return true
        }
        guard isMine else { return nil }
        let result: Result<BrokerChannel, BrokerError>
        do throws(BrokerError) {
            result = .success(try await Self.dial(dialler, instead: old))
        } catch {
            result = .failure(error)
        }
        let useless = state.withLock { state -> BrokerChannel? in
            state.isDialling = false
            guard case .success(let new) = result, new !== old else { return nil }
            if state.isClosed { return new }
            state.channel = new
            return old
        }
        if let useless { await Self.offPool { useless.close() } }
        guard case .failure(let error) = result, !error.mayPass, error.code != .closed else { return nil }
        return error
    }

    private static func dial(
        _ dialler: any BrokerDialler, instead old: BrokerChannel?
    ) async throws(BrokerError) -> BrokerChannel {
        let result = await offPool { Result { () throws(BrokerError) in try dialler.dial(instead: old) } }
        return try result.get()
    }

    /// Does what blocks where no task waits for a thread.
    static func offPool<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: body()) }
        }
    }

    /// Leaves the connection silent before it is closed: nng 1.5 can lose track of a connection that closes in the middle
    /// of a message, and then of all others (see ``RequesterLink``).
    private static func sayGoodbye(_ channel: BrokerChannel) async {
        guard channel.isConnected else { return }
        _ = try? await channel.request(
            BrokerRequest.goodbye.encodedOrTrap(), timeout: .milliseconds(300), isCancellable: false)
    }

    package func close() async {
        let channel = state.withLock { state -> BrokerChannel? in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            return state.channel
        }
        guard let channel else { return }
        await Self.sayGoodbye(channel)
        await Self.offPool { [dialler] in
            channel.close()
            dialler.leave()
        }
    }
}

extension BrokerRequest {
    fileprivate func encodedOrTrap() -> [UInt8] {
        do { return try encoded() } catch { preconditionFailure("a constant request does not encode: \(error)") }
    }
}

extension BrokerError {
    /// Whether the same may succeed a little later.
    fileprivate var mayPass: Bool {
        switch code {
        case .unreachable, .timedOut, .connectionLost: true
        default: false
        }
    }
}

extension ExchangeError {
    fileprivate static func wentBack(_ loss: BrokerHistory.Loss, at address: String) -> ExchangeError {
        let what = loss.steps.map { "\($0) steps" } ?? "what it had acknowledged to this process"
        return ExchangeError(
            .wentBack,
            "The broker at \(address) went back in time: it lacks at least \(what). It was started with an older journal, "
                + "without one, or after a crash of the machine that took what its durability class may lose. All actors "
                + "were taken from their workers and begin anew from what is stored; this operation was not performed: "
                + "check what the program relies on, then try again.")
    }

    init(_ error: BrokerError) {
        let code: Code =
            switch error.code {
            case .invalidAddress: .invalidArgument
            case .unreachable, .timedOut, .connectionLost, .addressInUse: .unreachable
            case .unauthorized, .tls, .permission: .unauthorized
            case .cancelled: .cancelled
            case .closed: .closed
            case .tooLarge: .tooLarge
            case .foreignFile: .foreignData
            case .corrupt: .corrupt
            case .newerVersion, .unsupportedVersion, .protocolViolation: .unsupportedVersion
            default: .refused
            }
        self.init(code, error.message)
    }
}
