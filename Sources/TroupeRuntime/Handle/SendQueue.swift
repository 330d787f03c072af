import DequeModule
import Synchronization
import TroupeCore

/// The way of this process's envelopes into one shard: in order, batched by themselves under load, without delay when idle.
///
/// One batch is under way at a time. A mailbox that is full parks what is sent to it until the exchange says that there is
/// room, so that nothing overtakes what was refused first; envelopes to other mailboxes pass by.
final class SendQueue: Sendable {
    private struct Item {
        var envelope: Envelope
        var whenFull: WhenFull
        var continuation: CheckedContinuation<SendResult, any Error>

        func isLate(_ now: Timestamp) -> Bool { envelope.deadline.map { $0 <= now } ?? false }
    }

    private struct State {
        var queue: Deque<Item> = []
        var parked: [String: Deque<Item>] = [:]
        /// Full mailboxes that may have room again.
        var resumable: Set<String> = []
        var isBusy = false
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
            let item = Item(envelope: envelope, whenFull: whenFull, continuation: continuation)
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
            if refused { continuation.resume(returning: .full) } else { pump() }
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

    /// Ends the wait of a parked envelope (its caller gave up); one that is under way goes on.
    func abandon(_ id: CallID, target: ActorID) {
        let item: Item? = state.withLock { state in
            guard let index = state.parked[target.key]?.firstIndex(where: { $0.envelope.id == id }) else { return nil }
            let item = state.parked[target.key]?.remove(at: index)
            if state.parked[target.key]?.isEmpty == true { state.parked[target.key] = nil }
            return item
        }
        item?.continuation.resume(returning: .full)
    }

    /// Ends the parked waits whose deadline is over, and asks for room on behalf of the others.
    private func retryParked() {
        let now = clock.now()
        let late: [Item] = state.withLock { state in
            var late: [Item] = []
            for key in state.parked.keys {
                let items = state.parked[key] ?? []
                late += items.filter { $0.isLate(now) }
                let rest = items.filter { !$0.isLate(now) }
                state.parked[key] = rest.isEmpty ? nil : rest
            }
            state.resumable = Set(state.parked.keys)
            return late
        }
        for item in late { item.continuation.resume(returning: .full) }
        pump()
    }

    private func pump() {
        guard let batch = nextBatch() else { return }
        // Unstructured: it ends with the queue, and every item in it is answered.
        Task { await run(batch) }
    }

    private struct Batch {
        var items: [Item]
        var isResuming: Bool
    }

    private func nextBatch() -> Batch? {
        state.withLock { state in
            guard !state.isBusy else { return nil }
            if let key = state.resumable.popFirst(), let items = state.parked.removeValue(forKey: key) {
                state.isBusy = true
                // The rest stays parked behind the first until that one is in.
                let count = min(items.count, Self.batchCountMax)
                if items.count > count { state.parked[key] = Deque(items.dropFirst(count)) }
                return Batch(items: Array(items.prefix(count)), isResuming: true)
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
                state.withLock { $0.isBusy = false }
                for item in current.items { item.continuation.resume(throwing: error) }
            }
            batch = nextBatch()
        }
    }

    private func settle(_ batch: Batch, _ results: [SendResult]) {
        var refused: [String: [Item]] = [:]
        for (item, result) in zip(batch.items, results) {
            if result == .full, item.whenFull == .wait {
                refused[item.envelope.target.key, default: []].append(item)
            } else {
                item.continuation.resume(returning: result)
            }
        }
        state.withLock { state in
            state.isBusy = false
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
