import CBOR
import TroupeCore
import TroupeRuntime
import TroupeTesting

/// What callers asked for and were told; at the end it is held against what the actors have in their logs.
final class Ledger: @unchecked Sendable {
    // Unchecked: a simulation runs on one thread (SeededExecutor).
    enum Fate {
        /// The call returned.
        case returned
        /// A message was stored under that id.
        case stored(CallID)
        /// The turn threw what it was to throw, or the exchange said that nothing was stored.
        case didNotHappen
        /// It ended with an error that leaves it open; with the id by which the outcome can be asked for, if there is one.
        case open(CallID?)
    }

    struct Entry {
        var token: String
        var target: String
        /// What a turn that commits brings about elsewhere, by actor: exactly once.
        var effects: [(actor: String, token: String)] = []
        /// What may have left before the turn commits: once at the most, and surely if it commits.
        var calls: [(actor: String, token: String)] = []
        /// What must never be, in any log.
        var isRefusal = false
        /// Whether nothing that its caller sent later may be there before it.
        var isOrdered = true
        var fate = Fate.open(nil)
        /// Of one caller, in the order of its sends.
        var caller: String
        var number: Int
    }

    var entries: [Entry] = []
    var registers: [HistoryEntry<RegisterModel>] = []
    var sets: [HistoryEntry<SetModel>] = []
    var counters: [HistoryEntry<CounterModel>] = []
    /// Counts calls and returns, so that no two have the same time.
    private var moment: Int64 = 0

    func nextMoment() -> Int64 {
        moment += 1
        return moment
    }

    // MARK: The end

    /// What does not agree with the actors' states, mailboxes and outcomes.
    func disagreements(with shards: Shards, actors: [String]) -> [String] {
        let found = Found(shards, actors)
        var broken = found.problems
        var allowed: Set<String> = []
        for entry in entries { broken += check(entry, found, shards, &allowed) }
        for (key, count) in found.counts.sorted(by: { $0.key < $1.key }) {
            if count > 1 { broken.append("\(key) happened \(count) times") }
            if !allowed.contains(key) { broken.append("\(key) happened, and nobody asked for it") }
        }
        broken += disorder(found)
        broken += nonlinear()
        return broken
    }

    private func check(
        _ entry: Entry, _ found: Found, _ shards: Shards, _ allowed: inout Set<String>
    ) -> [String] {
        let own = "\(entry.target):\(entry.token)"
        let count = found.counts[own] ?? 0
        var broken: [String] = []
        if let wanted = expected(entry, shards), wanted != (count > 0) {
            broken.append("\(own) happened \(count) times, and its caller was told \(entry.fate)")
        }
        if entry.isRefusal {
            if count > 0 { broken.append("\(own) threw, and its state stayed") }
            return broken
        }
        allowed.insert(own)
        for (actor, token) in entry.effects {
            let key = "\(actor):\(token)"
            allowed.insert(key)
            let effects = (found.counts[key] ?? 0) + (found.dead[key] ?? 0)
            if effects != (count > 0 ? 1 : 0) {
                broken.append("\(key) happened \(effects) times, and the turn \(own) \(count) times")
            }
        }
        for (actor, token) in entry.calls {
            let key = "\(actor):\(token)"
            allowed.insert(key)
            if count > 0, found.counts[key] != 1 { broken.append("\(own) committed without its call \(key)") }
        }
        return broken
    }

    /// Whether it must have happened; nil if that is open.
    private func expected(_ entry: Entry, _ shards: Shards) -> Bool? {
        switch entry.fate {
        case .returned: return true
        case .didNotHappen: return false
        case .open(nil): return nil
        case .stored(let id), .open(let id?):
            guard case .outcome(let outcome) = shards.home(of: entry.target).apply(.outcome(id, watcher: nil)) else {
                return nil
            }
            switch outcome.status {
            case .committed: return true
            case .failed, .deadLettered, .expired, .cancelled: return false
            case .unknown:
                if case .open = entry.fate { return false }
                return true
            case .pending: return nil
            }
        }
    }

    /// What one caller sent to one actor has to be there in the order of sending.
    private func disorder(_ found: Found) -> [String] {
        var numbers: [String: (caller: String, number: Int)] = [:]
        for entry in entries where entry.isOrdered { numbers[entry.token] = (entry.caller, entry.number) }
        var broken: [String] = []
        for (actor, log) in found.logs.sorted(by: { $0.key < $1.key }) {
            var last: [String: Int] = [:]
            for token in log {
                guard let (caller, number) = numbers[token] else { continue }
                if let before = last[caller], before > number {
                    broken.append("\(actor) did \(token) after \(caller)'s \(before)")
                }
                last[caller] = number
            }
        }
        return broken
    }

    private func nonlinear() -> [String] {
        [
            Linearizability.check(registers, as: RegisterModel.self),
            Linearizability.check(sets, as: SetModel.self),
            Linearizability.check(counters, as: CounterModel.self),
        ].compactMap(\.complaint)
    }
}

/// What the exchange holds at the end.
private struct Found {
    var logs: [String: [String]] = [:]
    /// By "actor:token".
    var counts: [String: Int] = [:]
    var dead: [String: Int] = [:]
    var problems: [String] = []

    init(_ shards: Shards, _ actors: [String]) {
        for name in actors {
            let exchange = shards.home(of: name)
            guard let id = try? ActorID(type: Cell.wireName, name: name),
                case .state(let bytes) = exchange.apply(.state(id)),
                let state = try? CBORDecoder().decode(Cell.State.self, from: bytes)
            else {
                problems.append("the state of \(name) cannot be read")
                continue
            }
            logs[name] = state.log
            for token in state.log { counts["\(name):\(token)", default: 0] += 1 }
            guard case .deadLetters(let letters) = exchange.apply(.deadLetters(id, after: 0, limit: 1000)) else {
                continue
            }
            for letter in letters {
                guard let arguments = try? CBORDecoder().decode([CBORValue].self, from: letter.envelope.arguments),
                    case .text(let token)? = arguments.first
                else { continue }
                dead["\(name):\(token)", default: 0] += 1
            }
        }
    }
}
