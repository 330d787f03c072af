import CBOR
import Distributed
import TroupeCore
import TroupeStore

/// How a turn ended, before anyone knows whether it commits.
struct TurnEnd: Sendable {
    /// Nil if it came directly.
    var sequence: SequenceNumber?
    var id: CallID
    var fingerprint: UInt64
    var disposition: TurnCommit.Disposition
    /// The encoded state after the turn; nil if it was put back to what it was.
    var state: TurnCommit.NewState?
    var outgoing: [Envelope] = []
    var timers: [TimerChange] = []

    init(
        of handled: Incoming, _ disposition: TurnCommit.Disposition, state: TurnCommit.NewState? = nil,
        outgoing: [Envelope] = [], timers: [TimerChange] = []
    ) {
        sequence = handled.sequence
        id = handled.envelope.id
        fingerprint = handled.envelope.fingerprint
        self.disposition = disposition
        self.state = state
        self.outgoing = outgoing
        self.timers = timers
    }

    var acknowledgement: TurnCommit.Acknowledgement? {
        sequence.map { TurnCommit.Acknowledgement(sequence: $0, id: id, disposition: disposition) }
    }

    var arrival: TurnCommit.Arrival? {
        sequence == nil ? TurnCommit.Arrival(id: id, fingerprint: fingerprint, disposition: disposition) : nil
    }

    /// Whether the envelope will be tried again, so that nothing behind it may run before.
    func isToBeRetried(_ kind: Envelope.Kind) -> Bool {
        if case .failed = disposition { return kind != .request }
        return false
    }
}

/// What a method came to.
enum TurnResult: Sendable {
    /// The result as it is sent, the managed objects that it refers to, and the state after it.
    case returned([UInt8], references: [String], state: TurnCommit.NewState)
    case threw(any Error)
}

extension StatefulActor {
    /// Runs one message on this actor: the state before is kept, and put back if the turn fails.
    func perform(
        _ target: String, _ decoder: InvocationDecoder, _ handler: ResultHandler, for call: CallID,
        of host: ActivationHost
    ) async throws -> TurnResult {
        let before = state
        func putBack() {
            if !host.options.isReentrant { state = before }
        }
        var decoder = decoder
        do {
            try await actorSystem.executeDistributedTarget(
                on: self, target: RemoteCallTarget(target), invocationDecoder: &decoder, handler: handler)
            switch handler.box.value {
            case .returned(let bytes)?:
                let (item, references) = try await host.offload(bytes, handler)
                do {
                    // Without a wait in between: later snapshots contain this one.
                    let snapshot = try encodedState(host.system.data)
                    host.reservePlace(call)
                    return .returned(item, references: references, state: snapshot)
                } catch {
                    putBack()
                    return .threw(error)
                }
            case .threw(let error)?:
                putBack()
                return .threw(error)
            case nil: throw Undecodable("the method ended without a result")
            }
        } catch {
            putBack()
            throw error
        }
    }

    /// The state as it is stored, with the managed objects that it refers to.
    func encodedState(_ data: DataPlane) throws -> TurnCommit.NewState {
        let noted = ReferenceCollector()
        let bytes = try data.encoder(noting: noted).encode(state)
        return TurnCommit.NewState(bytes: bytes, references: noted.managed.map(\.id))
    }
}

/// Calls into an actor of any type from outside its isolation.
struct ActorInstance: Sendable {
    let base: any StatefulActor

    func perform(
        _ target: String, _ decoder: InvocationDecoder, _ handler: ResultHandler, for call: CallID,
        of host: ActivationHost
    ) async throws -> TurnResult {
        try await Self.perform(base, target, decoder, handler, call, host)
    }

    private static func perform<Act: StatefulActor>(
        _ actor: Act, _ target: String, _ decoder: InvocationDecoder, _ handler: ResultHandler, _ call: CallID,
        _ host: ActivationHost
    ) async throws -> TurnResult {
        let end = try await actor.whenLocal {
            try await $0.perform(target, decoder, handler, for: call, of: host)
        }
        guard let end else { throw Undecodable("the actor is not in this process") }
        return end
    }

    func encodedState(_ data: DataPlane) async throws -> TurnCommit.NewState { try await Self.encodedState(base, data) }

    private static func encodedState<Act: StatefulActor>(
        _ actor: Act, _ data: DataPlane
    ) async throws -> TurnCommit.NewState {
        guard let state = try await actor.whenLocal({ try $0.encodedState(data) }) else {
            throw Undecodable("the actor is not in this process")
        }
        return state
    }

    func didActivate() async throws { try await Self.didActivate(base) }
    private static func didActivate<Act: StatefulActor>(_ actor: Act) async throws {
        try await actor.whenLocal { try await $0.didActivate() }
    }

    func whileActive() async throws { try await Self.whileActive(base) }
    private static func whileActive<Act: StatefulActor>(_ actor: Act) async throws {
        try await actor.whenLocal { try await $0.whileActive() }
    }

    func willPassivate() async { await Self.willPassivate(base) }
    private static func willPassivate<Act: StatefulActor>(_ actor: Act) async {
        await actor.whenLocal { await $0.willPassivate() }
    }
}
