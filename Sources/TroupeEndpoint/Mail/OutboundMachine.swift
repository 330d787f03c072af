import DequeModule
import TroupeCore

/// What waits in a site's mailbox, on its way to that site: which parcels to send, and how the envelopes end.
///
/// It is told of everything and does nothing itself. An envelope stays in the mailbox until the other side has settled
/// it; so whoever carries it may die at any moment.
struct OutboundMachine {
    private enum State: Hashable {
        /// Not on the link.
        case waiting
        /// On the link.
        case sent
        /// In the target's mailbox; its outcome is waited for.
        case taken
        /// Over; its end is being committed.
        case ended
    }

    private struct Item {
        let queued: QueuedEnvelope
        var state = State.waiting
        var mayHaveBeenSent: Bool
        var isRecalled = false
        /// Whether it ended as the other side said, which keeps the outcome until it knows that this is stored.
        var isOutcomeKept = false
        var envelope: Envelope { queued.envelope }
        var wantsOutcome: Bool { envelope.kind == .request || !envelope.references.isEmpty }
    }

    private struct Hold {
        var until: Timestamp
        var attempts: Int
    }

    /// In order of sequence.
    private var items: Deque<Item> = []
    /// Full mailboxes at the other side, and when to try them again.
    private var holds: [ActorID: Hold] = [:]
    /// Nothing before it waits.
    private var scanFrom: SequenceNumber = 0
    private var unsettledCount = 0
    private var ends: [TurnCommit.Acknowledgement] = []
    private var recalls: [SentCall] = []
    /// Calls whose ends are stored, for the other side to know; and when the first of them was.
    private var stored: [SentCall] = []
    private var storedAt: Timestamp?
    private var lastSequence: SequenceNumber = 0
    private let site: String
    private let refusal: String?
    private(set) var isLinked = false

    /// How many parcels may be on the link unsettled.
    static let unsettledMax = 1000

    /// How long the other side waits to hear of it that an outcome is stored, so that it hears of many at once.
    static let storedDelay = Duration.seconds(1)

    /// - Parameter refusal: why nothing is sent there; all ends with that.
    init(site: String, refusal: String? = nil) {
        self.site = site
        self.refusal = refusal
    }

    /// Whether the other side has taken nothing of what waits. It takes messages in their order, so what follows one that it
    /// has not taken it has not taken either.
    var hasNothingAway: Bool {
        items.allSatisfy { $0.state == .waiting } && !(items.first?.mayHaveBeenSent ?? false)
    }

    /// How many envelopes are not over.
    var openCount: Int { items.count { $0.state != .ended } }

    // MARK: The mailbox

    /// The mailbox brings envelopes. Those of a new activation may have been sent by an earlier one.
    mutating func take(_ envelopes: [QueuedEnvelope], mayHaveBeenSent: Bool) {
        for queued in envelopes {
            if let last = items.last?.queued.sequence, queued.sequence <= last { continue }
            lastSequence = max(lastSequence, queued.sequence)
            items.append(Item(queued: queued, mayHaveBeenSent: mayHaveBeenSent))
            scanFrom = min(scanFrom, queued.sequence)
            if let refusal { refuse(items.count - 1, refusal) }
        }
    }

    /// A caller waits no more for its call.
    mutating func cancel(_ id: CallID) {
        guard let index = items.firstIndex(where: { $0.envelope.id == id && $0.state != .ended }) else { return }
        if items[index].state == .waiting, !items[index].mayHaveBeenSent { return end(index, .cancelled) }
        items[index].isRecalled = true
        if isLinked { recalls.append(SentCall(id: id, target: items[index].envelope.target)) }
    }

    /// Ends to be committed, each given once.
    mutating func takeEnds(atMost countMax: Int) -> [TurnCommit.Acknowledgement] {
        let taken = Array(ends.prefix(countMax))
        ends.removeFirst(taken.count)
        return taken
    }

    /// Ends have been committed: their envelopes are gone.
    mutating func forget(_ sequences: [SequenceNumber], at now: Timestamp) {
        let gone = Set(sequences)
        if isLinked { note(stored: sequences.compactMap { index(of: $0) }, at: now) }
        if sequences.count == 1, items.first?.queued.sequence == sequences[0] {
            items.removeFirst()
        } else {
            items.removeAll { gone.contains($0.queued.sequence) }
        }
    }

    private mutating func note(stored indices: [Int], at now: Timestamp) {
        let calls = indices.map { items[$0] }.filter(\.isOutcomeKept).map(\.envelope)
        guard !calls.isEmpty else { return }
        stored += calls.map { SentCall(id: $0.id, target: $0.target) }
        storedAt = storedAt ?? now
    }

    // MARK: The link

    /// Nothing before it is open: what the other side still keeps of that has come.
    var firstOpen: SequenceNumber { items.first?.queued.sequence ?? lastSequence + 1 }

    mutating func link() {
        isLinked = true
        holds = [:]
        scanFrom = 0
    }

    /// The link broke: what was not settled is sent again, and outcomes are asked for again.
    mutating func unlink() {
        isLinked = false
        holds = [:]
        recalls = []
        stored = []
        storedAt = nil
        unsettledCount = 0
        scanFrom = 0
        for index in items.indices where items[index].state == .sent || items[index].state == .taken {
            items[index].state = .waiting
            items[index].mayHaveBeenSent = true
        }
    }

    /// The next parcels to send; marks them as sent.
    mutating func parcels(at now: Timestamp) -> [Parcel] {
        guard isLinked else { return [] }
        var parcels: [Parcel] = []
        var sizeBytes = 0
        // Targets of which something waits that cannot be sent: nothing overtakes it.
        var held: Set<ActorID> = []
        var firstLeft: SequenceNumber?
        var index = firstIndex(from: scanFrom)
        while index < items.count, parcels.count < MailFrame.countMax, unsettledCount < Self.unsettledMax {
            defer { index += 1 }
            guard items[index].state == .waiting else { continue }
            let envelope = items[index].envelope
            if let deadline = envelope.deadline, deadline < now, !items[index].mayHaveBeenSent {
                end(index, .expired)
                continue
            }
            if held.contains(envelope.target) || holds[envelope.target].map({ $0.until > now }) ?? false {
                held.insert(envelope.target)
                firstLeft = firstLeft ?? items[index].queued.sequence
                continue
            }
            if !parcels.isEmpty, sizeBytes + envelope.sizeBytes > MailFrame.sizeBytesMax { break }
            sizeBytes += envelope.sizeBytes
            parcels.append(parcel(index, now))
        }
        scanFrom = firstLeft ?? (index < items.count ? items[index].queued.sequence : .max)
        return parcels
    }

    private mutating func parcel(_ index: Int, _ now: Timestamp) -> Parcel {
        let item = items[index]
        items[index].state = .sent
        unsettledCount += 1
        if item.isRecalled { recalls.append(SentCall(id: item.envelope.id, target: item.envelope.target)) }
        return Parcel(
            number: item.queued.sequence, envelope: item.envelope, isRepeat: item.mayHaveBeenSent,
            age: (now - item.envelope.sentAt).wholeMilliseconds,
            remaining: item.envelope.deadline.map { ($0 - now).wholeMilliseconds }, wantsOutcome: item.wantsOutcome)
    }

    /// Recalls to send, behind the parcels that they are of.
    mutating func takeRecalls() -> [SentCall] {
        defer { recalls = [] }
        return recalls
    }

    /// Calls of which the other side is to know that their ends are stored: many at a time, or after a while.
    mutating func takeStored(at now: Timestamp) -> [SentCall] {
        guard let since = storedAt, stored.count >= MailFrame.countMax || since + Self.storedDelay <= now else {
            return []
        }
        let taken = Array(stored.prefix(MailFrame.countMax))
        stored.removeFirst(taken.count)
        storedAt = stored.isEmpty ? nil : now
        return taken
    }

    mutating func settle(_ settlements: [Settlement], at now: Timestamp) {
        for settlement in settlements {
            guard let index = index(of: settlement.number), items[index].state == .sent else { continue }
            unsettledCount -= 1
            let target = items[index].envelope.target
            switch settlement.result {
            case .taken:
                holds[target] = nil
                if items[index].wantsOutcome {
                    items[index].state = .taken
                } else {
                    end(index, .completed(SiteRequest.taken, references: []))
                }
            case .full:
                items[index].state = .waiting
                items[index].mayHaveBeenSent = false
                let attempts = (holds[target]?.attempts ?? 0) + 1
                holds[target] = Hold(until: now + .milliseconds(min(1000, 5 << min(attempts, 8))), attempts: attempts)
                scanFrom = min(scanFrom, items[index].queued.sequence)
            case .refused(let reason):
                refuse(index, reason)
            }
        }
    }

    /// The objects that the other side goes on referring to, as it says, of those that its messages mention.
    func objectsUsed(_ outcomes: [ParcelOutcome]) -> [String] {
        var used: Set<String> = []
        for outcome in outcomes {
            guard let uses = outcome.uses, let index = index(of: outcome.number) else { continue }
            used.formUnion(Set(uses).intersection(items[index].envelope.references))
        }
        return used.sorted()
    }

    mutating func finish(_ outcomes: [ParcelOutcome]) {
        for (number, outcome) in outcomes.map({ ($0.number, $0.outcome) }) {
            guard let index = index(of: number), items[index].state == .sent || items[index].state == .taken else {
                continue
            }
            if items[index].state == .sent { unsettledCount -= 1 }
            items[index].isOutcomeKept = outcome.isFinal
            switch outcome.status {
            case .pending: items[index].state = .taken
            case .committed: end(index, .completed(outcome.payload, references: []))
            case .failed: end(index, .failed(outcome.payload))
            case .deadLettered: end(index, putAside: String(decoding: outcome.payload, as: UTF8.self))
            case .expired: end(index, .expired)
            case .cancelled: end(index, .cancelled)
            case .unknown:
                refuse(index, "site \(site) took it and does not know its outcome any more: its retention is over")
            }
        }
    }

    /// A caller learns of it as an error; a message that nobody waits for is put aside.
    private mutating func refuse(_ index: Int, _ reason: String) {
        if items[index].envelope.kind == .request {
            end(index, .failed(RemoteFailure.encoded(reason)))
        } else {
            end(index, .undecodable(reason: reason))
        }
    }

    /// The letter lies at the other site, where it may be sent again. There is none here, so that nobody sends it twice: a caller
    /// learns of it as an error, and for all others the message is done.
    private mutating func end(_ index: Int, putAside reason: String) {
        let envelope = items[index].envelope
        guard envelope.kind == .request else { return end(index, .completed(SiteRequest.taken, references: [])) }
        let call = SentCall(id: envelope.id, target: envelope.target)
        end(index, .failed(RemoteFailure.encoded(putAside: call, at: site, reason)))
    }

    private mutating func end(_ index: Int, _ disposition: TurnCommit.Disposition) {
        items[index].state = .ended
        ends.append(
            TurnCommit.Acknowledgement(
                sequence: items[index].queued.sequence, id: items[index].envelope.id, disposition: disposition))
    }

    // MARK: Time

    /// When something may be done that cannot be done now.
    var wakesAt: Timestamp? {
        guard isLinked else { return nil }
        let storedDue = storedAt.map { $0 + Self.storedDelay }
        return (holds.values.map(\.until) + [storedDue].compactMap { $0 }).min()
    }

    /// Ends what has waited beyond its deadline and cannot have arrived.
    mutating func expire(at now: Timestamp) {
        for index in items.indices where items[index].state == .waiting && !items[index].mayHaveBeenSent {
            if let deadline = items[index].envelope.deadline, deadline < now { end(index, .expired) }
        }
    }

    // MARK: Items

    private func firstIndex(from sequence: SequenceNumber) -> Int {
        var low = 0
        var high = items.count
        while low < high {
            let middle = (low + high) / 2
            if items[middle].queued.sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func index(of sequence: SequenceNumber) -> Int? {
        let index = firstIndex(from: sequence)
        return index < items.count && items[index].queued.sequence == sequence ? index : nil
    }
}
