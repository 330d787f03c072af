import Synchronization
import TroupeCore
import TroupeRedis
import TroupeTesting

/// Load on one actor that counts: a caller that sends requests one after the other, and a worker whose n-th turn answers
/// n. If nothing was lost, done twice or put in another order, the n-th request was answered with n.
final class CountingLoad: Sendable {
    private struct State: Sendable {
        var acknowledged = 0
        var handled = 0
        var registrations = 0
        var epochs: [Epoch] = []
        var errors: [ExchangeError] = []
    }

    let actor: ActorID
    private let callerShard: any Shard
    private let workerShard: any Shard
    private let client: ClientID
    private let worker: WorkerID
    private let state = Mutex(State())

    /// - Parameter name: of the actor; its caller and worker are named after it.
    init(_ name: String = "hits", caller: any Shard, worker: any Shard) throws {
        actor = try ActorID(type: "Counter", name: name)
        callerShard = caller
        workerShard = worker
        client = ClientID(unchecked: "client-\(name)")
        self.worker = WorkerID(unchecked: "worker-\(name)")
    }

    var acknowledged: Int { state.withLock { $0.acknowledged } }
    var handled: Int { state.withLock { $0.handled } }
    /// How often the worker had to register: once, if nobody voided it.
    var registrations: Int { state.withLock { $0.registrations } }
    var epochs: [Epoch] { state.withLock { $0.epochs } }
    var errors: [ExchangeError] { state.withLock { $0.errors } }
    var losses: [ExchangeError] { errors.filter { $0.code == .wentBack } }

    /// Runs caller and worker while `body` does its worst; then no more is sent, and what was is finished.
    func run(while body: () async throws -> Void) async throws {
        try await persist { () throws(ExchangeError) in try await self.register() }
        let caller = Task { await self.call() }
        let worker = Task { await self.work() }
        do {
            try await body()
        } catch {
            caller.cancel()
            worker.cancel()
            throw error
        }
        caller.cancel()
        await caller.value
        try await untilDrained()
        worker.cancel()
        await worker.value
    }

    private func register() async throws(ExchangeError) {
        _ = try await callerShard.perform(.register(ActorRegistration(id: actor, state: Self.bytes(0))))
    }

    /// Repeats until it goes through, noting what did not.
    private func persist<Value: Sendable>(
        _ body: () async throws(ExchangeError) -> Value
    ) async throws(ExchangeError) -> Value {
        while true {
            do throws(ExchangeError) { return try await body() } catch {
                note(error)
                if Task.isCancelled || error.code == .closed { throw error }
                // Not a wait for anything: it keeps a refusal from being asked for at full speed.
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    private func note(_ error: ExchangeError) {
        // At the end of the run whatever is under way is cancelled.
        if Task.isCancelled, error.code == .cancelled { return }
        state.withLock { if $0.errors.count < 10_000 { $0.errors.append(error) } }
    }

    // MARK: Caller

    private func id(_ number: Int) -> CallID { CallID(unchecked: "\(client.text)-\(number)") }

    private func call() async {
        var number = 0
        while !Task.isCancelled {
            number += 1
            let envelope = Envelope(
                id: id(number), kind: .request, target: actor, sender: client.text, replyTo: client, method: "add(_:)",
                arguments: [0x80], sentAt: Timestamp(milliseconds: 1))
            do throws(ExchangeError) {
                // Once begun, to its end: else it is open whether it was stored.
                let answer = try await Task {
                    try await self.persist { () throws(ExchangeError) in
                        try await self.store(envelope)
                    }
                }.result.mapError { $0 as? ExchangeError ?? ExchangeError(.internalError, "\($0)") }.get()
                guard case .sent(let results) = answer else { throw answer.unexpected("send") }
                switch results.first {
                case .accepted, .known: state.withLock { [number] in $0.acknowledged = number }
                default: throw ExchangeError(.internalError, "a send was answered with \(results)")
                }
            } catch {
                note(error)
                return
            }
        }
    }

    /// Waits for room where there is none.
    private func store(_ envelope: Envelope) async throws(ExchangeError) -> Answer {
        var isResuming = false
        while true {
            let answer = try await callerShard.perform(.send([envelope], from: client, resuming: isResuming))
            guard case .sent([.full]) = answer else { return answer }
            isResuming = true
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private func untilDrained() async throws {
        let last = acknowledged
        guard last > 0 else { return }
        let deadline = ContinuousClock.now.advanced(by: .seconds(60))
        while ContinuousClock.now < deadline {
            let outcome = try await persist { () throws(ExchangeError) in try await self.outcome(last) }
            if outcome.status != .pending { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw ExchangeError(.deadlineExceeded, "the mailbox did not drain; noted: \(errors.suffix(3))")
    }

    func outcome(_ number: Int) async throws(ExchangeError) -> Outcome {
        let answer = try await callerShard.perform(.outcome(id(number), watcher: nil))
        guard case .outcome(let outcome) = answer else { throw answer.unexpected("outcome") }
        return outcome
    }

    /// The requests that were acknowledged and whose outcome is not what it must be.
    func wrong() async throws -> [String] {
        var wrong: [String] = []
        for number in stride(from: 1, through: acknowledged, by: 1) {
            let outcome = try await persist { () throws(ExchangeError) in try await self.outcome(number) }
            let expected = Outcome(.committed, payload: Self.bytes(number))
            if outcome != expected { wrong.append("request \(number): \(outcome)") }
        }
        return wrong
    }

    // MARK: Worker

    private func work() async {
        while !Task.isCancelled {
            do throws(ExchangeError) {
                _ = try await persist { () throws(ExchangeError) in
                    try await self.workerShard.perform(.registerWorker(self.registration))
                }
                state.withLock { $0.registrations += 1 }
                try await host()
            } catch {
                note(error)
                if error.code == .closed { return }
            }
        }
    }

    private var registration: WorkerRegistration {
        WorkerRegistration(
            id: worker, pools: ["default"],
            types: [TypeDescription(name: "Counter", methods: [], initialState: nil, options: .init(), isEager: false)],
            host: "host", pid: 1, activationsMax: 10, lease: .seconds(600))
    }

    /// An activation of the actor.
    private struct Hosted {
        var epoch: Epoch
        var count: Int
        var turns: UInt64 = 0
    }

    /// Reads the lane until the registration is void.
    private func host() async throws(ExchangeError) {
        var hosted: Hosted?
        var early: [(Epoch, QueuedEnvelope)] = []
        var cursor = Cursor()
        var mustClaim = true
        while !Task.isCancelled {
            if mustClaim, let activation = try await claim() {
                var fresh = Hosted(epoch: activation.epoch, count: Self.number(activation.state))
                state.withLock { $0.epochs.append(activation.epoch) }
                var isHeld = true
                for queued in activation.envelopes where isHeld { isHeld = try await handle(queued, &fresh) }
                for (epoch, queued) in early where isHeld && epoch == fresh.epoch {
                    isHeld = try await handle(queued, &fresh)
                }
                early = []
                hosted = isHeld ? fresh : nil
                if !isHeld { continue }
            }
            mustClaim = false
            let deliveries: Deliveries
            do throws(ExchangeError) {
                deliveries = try await workerShard.deliveries(worker, after: cursor, max: 100, timeout: .seconds(2))
            } catch {
                if error.code == .noSuchWorker { throw error }
                note(error)
                continue
            }
            cursor = deliveries.cursor
            for delivery in deliveries.items {
                switch delivery {
                case .ready: mustClaim = true
                case .envelope(_, let epoch, let queued):
                    if var current = hosted, current.epoch == epoch {
                        let isHeld = try await handle(queued, &current)
                        hosted = isHeld ? current : nil
                        mustClaim = mustClaim || !isHeld
                    } else {
                        early.append((epoch, queued))
                    }
                case .cancel, .stop, .drain: break
                }
            }
        }
    }

    private func claim() async throws(ExchangeError) -> Activation? {
        let answer = try await persist { () throws(ExchangeError) in
            try await self.workerShard.perform(.claim(self.worker, max: 10, only: nil, greedy: true))
        }
        if case .noSuchWorker = answer { throw ExchangeError(.noSuchWorker, "voided") }
        guard case .claimed(let result) = answer else { throw answer.unexpected("claim") }
        return result.activations.first
    }

    /// Runs a turn; false if the lease is over. It is given back then: an exchange that failed over may know it and not
    /// what came under it.
    private func handle(_ queued: QueuedEnvelope, _ hosted: inout Hosted) async throws(ExchangeError) -> Bool {
        hosted.count += 1
        hosted.turns += 1
        let bytes = Self.bytes(hosted.count)
        let turn = TurnCommit(
            actor: actor, epoch: hosted.epoch, number: hosted.turns,
            acknowledgements: [
                TurnCommit.Acknowledgement(
                    sequence: queued.sequence, id: queued.envelope.id, disposition: .completed(bytes, references: []))
            ], state: .init(bytes: bytes))
        let answer = try await persist { () throws(ExchangeError) in
            try await self.workerShard.perform(.commit(self.worker, [turn]))
        }
        guard case .committed(let results) = answer else { throw answer.unexpected("commit") }
        guard results == [.committed] else {
            let release = Operation.release(worker, actor: actor, epoch: hosted.epoch, .giveBack)
            _ = try await persist { () throws(ExchangeError) in try await self.workerShard.perform(release) }
            return false
        }
        state.withLock { $0.handled += 1 }
        return true
    }

    private static func bytes(_ number: Int) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }

    private static func number(_ bytes: [UInt8]) -> Int {
        bytes.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << ($1.offset * 8) }
    }
}
