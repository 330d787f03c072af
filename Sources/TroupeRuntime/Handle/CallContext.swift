import Synchronization
import TroupeCore

/// How long a call may take.
public enum CallDeadline: Sendable, Hashable {
    case after(Duration)
    case none
}

/// What a sender does when a mailbox is at its capacity.
public enum WhenFull: Sendable, Hashable {
    /// Waits for room, up to the deadline.
    case wait
    /// Fails at once with ``TroupeError/Code/mailboxFull``.
    case fail
}

/// What surrounds a call besides its arguments: carried by task-locals, since a method call has no other place for it.
package enum CallContext {
    @TaskLocal package static var deadline: CallDeadline?
    @TaskLocal package static var whenFull = WhenFull.wait
    @TaskLocal package static var baggage: [String: String] = [:]
    /// The id that the caller chose for its call.
    @TaskLocal static var callID: CallID?
    /// Set by `tell` and `future` around their closure.
    @TaskLocal static var oneCall: OneCall?
    /// The turn that this task belongs to.
    @TaskLocal static var turn: Turn?
    /// The id that a new actor instance takes.
    @TaskLocal static var spawning: ActorID?
}

/// The closure of a `tell` or `future`: it holds exactly one call, whose envelope is stored instead of awaited.
final class OneCall: Sendable {
    enum Purpose: Hashable, Sendable {
        case tell
        case future
        case timer(name: String, delay: Duration, interval: Duration?)
    }

    struct Left: Error {}

    let purpose: Purpose
    private struct State {
        var calls = 0
        var id: CallID?
        var error: (any Error)?
    }
    private let state = Mutex(State())

    init(_ purpose: Purpose) { self.purpose = purpose }

    func begin() throws(TroupeError) {
        let count = state.withLock { state in
            state.calls += 1
            return state.calls
        }
        guard count == 1 else {
            throw TroupeError(.misuse, "the closure of a tell or future makes exactly one call; this one makes more")
        }
    }

    func finish(_ result: Result<CallID, any Error>) {
        state.withLock { state in
            switch result {
            case .success(let id): state.id = id
            case .failure(let error): state.error = error
            }
        }
    }

    /// The id under which the call was stored.
    func outcome(ofClosure error: (any Error)?) throws -> CallID {
        let (id, failure) = state.withLock { ($0.id, $0.error) }
        if let failure { throw failure }
        if let id, error is Left || error == nil { return id }
        if let error { throw error }
        throw TroupeError(.misuse, "the closure of a tell or future made no call on an actor's handle")
    }
}
