import DequeModule
import Synchronization
import TroupeCore

/// The way of this process's envelopes into one shard: in order, batched by themselves under load, without delay when idle.
///
/// One batch is under way at a time. A mailbox that is full parks what is sent to it until the exchange says that there is
/// room, so that nothing overtakes what was refused first; envelopes to other mailboxes pass by.
final class SendQueue: Sendable {
    /// A sender gave up before the exchange had answered.
    struct GivenUp: Error {
        /// Whether the envelope was on its way: then the exchange alone knows what became of it.
        var mayBeStored: Bool
    }

    /// Learns the exchange's answer, or that it will not be waited for.
    typealias Completion = @Sendable (Result<SendResult, any Error>) -> Void

    /// An envelope whose sender waits; it is answered once.
    private final class Item: Sendable {
        let envelope: Envelope
        let whenFull: WhenFull
        private struct State {
            var completion: Completion?
            var isToBeCancelled = false
        }
        private let state: Mutex<State>

        init(_ envelope: Envelope, _ whenFull: WhenFull, _ completion: @escaping Completion) {
            self.envelope = envelope
            self.whenFull = whenFull
            state = Mutex(State(completion: completion))
        }

        func answer(_ result: Result<SendResult, any Error>) {
            let completion = state.withLock { state in
                defer { state.completion = nil }
                return state.completion
            }
            completion?(result)
        }

        /// Whether its sender was cancelled while it was on its way.
        var isToBeCancelled: Bool { state.withLock { $0.isToBeCancelled } }
        func cancelWhenStored() { state.withLock { $0.isToBeCancelled = true } }
    }

    private struct State {
        var queue: Deque<Item> = []
        var underWay: [Item] = []
        var parked: [String: Deque<Item>] = [:]
        /// Full mailboxes that may have room again.
        var resumable: Set<String> = []
        var isBusy = false

        /// The first of them that still parks something; the order is that of names, the same in every run.
        mutating func nextResumable() -> String? {
            let key = resumable.filter { parked[$0] != nil }.min()
            if let key { resumable.remove(key) } else { resumable = [] }
            return key
        }
    }

    private let state = Mutex(State())
    private let shard: any Shard
    private let client: ClientID
    private let alarm = Mutex<Alarm?>(nil)
    private let clock: any ExchangeClock

    static let batchCountMax = 128
    static let batchSizeBytesMax = 1 << 20
    /// How long a parked envelope waits for a notice of room before it asks by itself.
    private static let parkedRetry = Duration.milliseconds(250)

    init(shard: any Shard, client: ClientID, clock: any ExchangeClock) {
        self.shard = shard
        self.client = client
        self.clock = clock
        alarm.withLock { $0 = Alarm(clock: clock) { [weak self] in self?.retryParked() } }
    }

    /// Stores an envelope; returns when the exchange has answered.
    func send(_ envelope: Envelope, whenFull: WhenFull) async throws -> SendResult {
        try await withCheckedThrowingContinuation { continuation in
            send(envelope, whenFull: whenFull) { continuation.resume(with: $0) }
        }
    }

    /// Stores an envelope, for a sender who waits for something that comes after the exchange's answer.
    func send(_ envelope: Envelope, whenFull: WhenFull, completion: @escaping Completion) {
        let item = Item(envelope, whenFull, completion)
        let refused: Bool = state.withLock { state in
            let key = envelope.target.key
            guard state.parked[key] != nil else {
                state.queue.append(item)
                return false
            }
            guard whenFull == .wait else { return true }
            state.parked[key]?.append(item)
            return false
        }
        if refused { item.answer(.success(.full)) } else { pump() }
        // Whoever gave up before this moment did not find the envelope here.
        let isLate = envelope.deadline.map { $0 <= clock.now() } ?? false
        if isLate || Task.isCancelled {
            abandon(envelope.id, target: envelope.target, isCancelled: Task.isCancelled)
        }
    }

    /// The exchange says that a mailbox has room.
    func roomIn(_ actor: ActorID) {
        let isParked = state.withLock { state in
            guard state.parked[actor.key] != nil else { return false }
            state.resumable.insert(actor.key)
            return true
        }
        if isParked { pump() }
    }

    /// Ends a sender's wait: its deadline has passed, or its task was cancelled. What is on its way goes on, and is cancelled
    /// at the exchange if `isCancelled`.
    func abandon(_ id: CallID, target: ActorID, isCancelled: Bool) {
        let (item, result): (Item?, Result<SendResult, any Error>) = state.withLock { state in
            if let index = state.parked[target.key]?.firstIndex(where: { $0.envelope.id == id }) {
                let item = state.parked[target.key]?.remove(at: index)
                if state.parked[target.key]?.isEmpty == true { state.parked[target.key] = nil }
                return (item, .success(.full))
            }
            if let index = state.queue.firstIndex(where: { $0.envelope.id == id }) {
                return (state.queue.remove(at: index), .failure(GivenUp(mayBeStored: false)))
            }
            let item = state.underWay.first { $0.envelope.id == id }
            if isCancelled { item?.cancelWhenStored() }
            return (item, .failure(GivenUp(mayBeStored: true)))
        }
        item?.answer(result)
    }

    /// Asks for room on behalf of the parked ones.
    private func retryParked() {
        state.withLock { $0.resumable = Set($0.parked.keys) }
        pump()
    }

    private func pump() {
        guard let batch = nextBatch() else { return }
        // Unstructured: it ends with the queue, and every item in it is answered. It begins on this thread, which has the
        // batch on its way before it could wake another one.
        Task.immediate(executorPreference: shard.executor) { await run(batch) }
    }

    private struct Batch {
        var items: [Item]
        var isResuming: Bool
    }

    private func nextBatch() -> Batch? {
        state.withLock { state in
            guard !state.isBusy else { return nil }
            if let key = state.nextResumable(), let items = state.parked.removeValue(forKey: key) {
                state.isBusy = true
                // The rest stays parked behind the first until that one is in.
                let count = min(items.count, Self.batchCountMax)
                if items.count > count { state.parked[key] = Deque(items.dropFirst(count)) }
                state.underWay = Array(items.prefix(count))
                return Batch(items: state.underWay, isResuming: true)
            }
            var items: [Item] = []
            var size = 0
            while let first = state.queue.first, items.count < Self.batchCountMax,
                items.isEmpty || size + first.envelope.sizeBytes <= Self.batchSizeBytesMax
            {
                size += first.envelope.sizeBytes
                items.append(first)
                state.queue.removeFirst()
            }
            guard !items.isEmpty else { return nil }
            state.isBusy = true
            state.underWay = items
            return Batch(items: items, isResuming: false)
        }
    }

    private func run(_ first: Batch) async {
        var batch: Batch? = first
        while let current = batch {
            do {
                let answer = try await shard.perform(
                    .send(current.items.map(\.envelope), from: client, resuming: current.isResuming))
                guard case .sent(let results) = answer, results.count == current.items.count else {
                    throw answer.unexpected("send")
                }
                settle(current, results)
            } catch {
                state.withLock { state in
                    state.isBusy = false
                    state.underWay = []
                }
                for item in current.items { item.answer(.failure(error)) }
            }
            batch = nextBatch()
        }
    }

    private func settle(_ batch: Batch, _ results: [SendResult]) {
        for item in batch.items where item.isToBeCancelled {
            // Unstructured: one operation, for a sender that is gone.
            Task { [shard] in _ = try? await shard.perform(.cancel(item.envelope.id)) }
        }
        var refused: [String: [Item]] = [:]
        for (item, result) in zip(batch.items, results) {
            if result == .full, item.whenFull == .wait {
                refused[item.envelope.target.key, default: []].append(item)
            } else {
                item.answer(.success(result))
            }
        }
        state.withLock { state in
            state.isBusy = false
            state.underWay = []
            for (key, items) in refused {
                var line = Deque(items)
                line.append(contentsOf: state.parked[key] ?? [])
                // What was queued meanwhile for the same mailbox goes behind.
                line.append(contentsOf: state.queue.filter { $0.envelope.target.key == key })
                state.queue.removeAll { $0.envelope.target.key == key }
                state.parked[key] = line
            }
            if batch.isResuming, refused.isEmpty, let key = batch.items.first?.envelope.target.key,
                state.parked[key] != nil
            {
                state.resumable.insert(key)
            }
        }
        if !refused.isEmpty { alarm.withLock { $0 }?.set(clock.now() + Self.parkedRetry) }
    }
}
