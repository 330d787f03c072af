import CBOR
public import Distributed
public import TroupeCore
import TroupeStore

extension Troupe {
    public func remoteCall<Act, Err, Res>(
        on actor: Act, target: RemoteCallTarget, invocation: inout InvocationEncoder, throwing: Err.Type,
        returning: Res.Type
    ) async throws -> Res
    where Act: DistributedActor, Act.ID == ActorID, Err: Error, Res: Codable & Sendable {
        let id = try await localized(actor.id)
        let payload = try await dispatch(id, target, invocation, throwing)
        do {
            if id.site.isEmpty { return try decoder.decode(Res.self, from: payload) }
            return try await decode(Res.self, checking: payload)
        } catch let error as ExchangeError {
            throw TroupeError(error)
        } catch {
            throw TroupeError(
                .undecodable, "the result of \(actor.id).\(target) does not decode as \(Res.self): \(error)")
        }
    }

    public func remoteCallVoid<Act, Err>(
        on actor: Act, target: RemoteCallTarget, invocation: inout InvocationEncoder, throwing: Err.Type
    ) async throws where Act: DistributedActor, Act.ID == ActorID, Err: Error {
        _ = try await dispatch(localized(actor.id), target, invocation, throwing)
    }

    /// An actor as the exchange knows it: one of this site is named without it.
    func localized(_ actor: ActorID) async throws -> ActorID {
        guard !actor.site.isEmpty else { return actor }
        do { try await site.refresh() } catch { throw TroupeError(error) }
        return site.localized(actor)
    }

    /// Sends the call as its context asks: awaited, one-way, or as a future.
    private func dispatch<Err: Error>(
        _ actor: ActorID, _ target: RemoteCallTarget, _ invocation: InvocationEncoder, _ throwing: Err.Type
    ) async throws -> [UInt8] {
        let call = TargetTable.linked.wireCall(ofTarget: target.identifier)
        let method = call.method
        var invocation = invocation
        invocation.generics = call.travelling(of: invocation.generics)
        if let oneCall = CallContext.oneCall {
            try oneCall.begin()
            let result: Result<CallID, any Error>
            do {
                result = .success(try await leave(oneCall.purpose, actor, method, invocation))
            } catch {
                result = .failure(error)
            }
            oneCall.finish(result)
            throw OneCall.Left()
        }
        let envelope = try await envelope(.request, to: actor, method, invocation)
        let outcome = try await courier.call(envelope, whenFull: CallContext.whenFull)
        data.endHold(envelope.references, for: actor, in: courier.exchange)
        return try await result(of: outcome, envelope, throwing)
    }

    /// Stores a one-way message or a future's request, without waiting for its outcome.
    private func leave(
        _ purpose: OneCall.Purpose, _ actor: ActorID, _ method: String, _ invocation: InvocationEncoder
    ) async throws -> CallID {
        if case .timer(let name, let delay, let interval) = purpose {
            guard let turn = CallContext.turn, turn.actor == actor, invocation.generics.isEmpty else {
                throw TroupeError(.misuse, "a timer's call goes to the actor that sets it, and is not generic")
            }
            try turn.set(
                .set(
                    name: name, after: delay, interval: interval, method: method,
                    arguments: ArgumentList.joined(invocation.arguments),
                    references: invocation.noted.managed.map(\.id)))
            return CallID(unchecked: name)
        }
        let kind: Envelope.Kind = purpose == .tell ? .tell : .request
        let envelope = try await envelope(kind, to: actor, method, invocation)
        if purpose == .tell, let turn = CallContext.turn {
            try turn.send(envelope)
        } else {
            _ = try await courier.storeOrAbandon(envelope, whenFull: CallContext.whenFull)
            data.endHold(envelope.references, for: actor, in: courier.exchange)
        }
        return envelope.id
    }

    /// Builds the envelope. Inside a turn the id is derived from the turn, and a request waits until all earlier turns of
    /// the actor have committed and their messages have arrived, because it leaves before this one does.
    private func envelope(
        _ kind: Envelope.Kind, to actor: ActorID, _ method: String, _ invocation: InvocationEncoder
    ) async throws -> Envelope {
        let (arguments, references) = try await data.offload(
            invocation.arguments, noted: invocation.noted, on: courier.exchange.shard(of: actor))
        let now = courier.clock.now()
        var envelope = Envelope(
            id: CallID(unchecked: ""), kind: kind, target: actor, sender: courier.client.text, method: method,
            generics: invocation.generics, arguments: ArgumentList.joined(arguments), sentAt: now,
            deadline: deadline(kind, now), references: references, baggage: CallContext.baggage)
        if kind == .request { envelope.replyTo = courier.client }
        guard let turn = CallContext.turn else {
            envelope.id = CallContext.callID ?? courier.nextCallID()
            // Whoever chooses an id may choose it twice for different calls, and is told so.
            if CallContext.callID != nil {
                envelope.fingerprint = Fingerprint.of(actor, method, invocation.arguments)
            }
            return envelope
        }
        envelope.sender = turn.actor.key
        envelope.id = try turn.nextCallID()
        if kind == .request {
            envelope.chain = turn.chain + [turn.actor]
            envelope.fingerprint = Fingerprint.of(actor, method, invocation.arguments)
            try await turn.earlierTurnsCommitted()
            try await turn.isStored()
            try await turn.earlierMessagesBrought(
                to: actor, by: envelope.deadline, whenFull: CallContext.whenFull)
        }
        return envelope
    }

    /// Requests have the deadline of their context, and never a later one than the turn that makes them; a one-way message
    /// has one only if its context says so.
    private func deadline(_ kind: Envelope.Kind, _ now: Timestamp) -> Timestamp? {
        let chosen: CallDeadline = CallContext.deadline ?? (kind == .request ? configuration.callDeadline : .none)
        var deadline: Timestamp?
        if case .after(let duration) = chosen { deadline = now + duration }
        guard kind == .request, let outer = CallContext.turn?.deadline else { return deadline }
        return min(deadline ?? outer, outer)
    }

    private func result<Err: Error>(
        of outcome: Outcome, _ envelope: Envelope, _ throwing: Err.Type
    ) async throws -> [UInt8] {
        switch outcome.status {
        case .committed:
            return try await data.expand(outcome.payload)
        case .failed:
            let decoder = envelope.target.site.isEmpty ? decoder : decoder(believing: ArrivingReferences())
            throw Failure.decode(
                outcome.payload, expecting: throwing, actor: envelope.target, method: envelope.method,
                call: envelope.id, with: decoder)
        case .deadLettered, .expired, .cancelled, .unknown, .pending:
            throw Self.error(outcome, call: envelope.id, what: "\(envelope.target).\(envelope.method)")
        }
    }

    /// The error for an outcome that is no result.
    static func error(_ outcome: Outcome, call: CallID, what: String) -> TroupeError {
        switch outcome.status {
        case .deadLettered:
            let reason = String(decoding: outcome.payload, as: UTF8.self)
            return TroupeError(.deadLettered, "call \(call) of \(what) was put aside: \(reason)", call: call)
        case .expired:
            return TroupeError(
                .deadlineExceeded, "call \(call) of \(what) was not run: its deadline passed while it was queued",
                call: call)
        case .cancelled:
            return TroupeError(.cancelled, "call \(call) of \(what) was cancelled before it committed", call: call)
        case .unknown, .pending, .committed, .failed:
            return TroupeError(
                .outcomeUnknown, "the exchange does not know call \(call) of \(what): its retention may be over",
                call: call)
        }
    }

    // MARK: One-way and future calls

    /// Stores a one-way message; returns when it is stored, or, inside a turn, when it is part of the turn.
    ///
    /// - Parameter call: makes exactly one call on the handle it is given; its result is not awaited.
    /// - Returns: the message's id, by which its outcome can be asked for.
    /// - Throws: ``TroupeError`` if the message could not be stored.
    @discardableResult
    public func tell<Act: DistributedActor, Result>(
        _ actor: Act, _ call: @Sendable (Act) async throws -> Result
    ) async throws -> CallID where Act.ID == ActorID {
        try await once(.tell, actor, call)
    }

    func once<Act: DistributedActor, Result>(
        _ purpose: OneCall.Purpose, _ actor: Act, _ call: @Sendable (Act) async throws -> Result
    ) async throws -> CallID where Act.ID == ActorID {
        let oneCall = OneCall(purpose)
        do {
            _ = try await CallContext.$oneCall.withValue(oneCall) { try await call(actor) }
            return try oneCall.outcome(ofClosure: nil)
        } catch {
            return try oneCall.outcome(ofClosure: error)
        }
    }

    /// What became of a call, by its id; also of one that another process made.
    ///
    /// - Parameter wait: how long to wait for a pending one.
    public func outcome(of call: CallID, on actor: ActorID, waiting wait: Duration = .zero) async throws -> Outcome {
        try await courier.outcome(of: call, target: actor, until: courier.clock.now() + wait)
    }

    /// Runs `body` with another deadline for the calls it makes.
    public nonisolated(nonsending) static func withDeadline<Result>(
        _ deadline: CallDeadline, _ body: nonisolated(nonsending) () async throws -> Result
    ) async rethrows -> Result {
        try await CallContext.$deadline.withValue(deadline, operation: body)
    }

    /// Runs `body`, which makes one call, with an id of the caller's choice for that call.
    ///
    /// The same call may be made again under its id, also by another process or after a restart: it has no second effect
    /// and gets the outcome of the first, for as long as the exchange keeps outcomes. So a caller that notes the id before
    /// it calls never loses what became of it. Another call under the same id is refused
    /// (``TroupeError/Code/fingerprintMismatch``). Turns do not need this: their calls have ids of that kind already.
    public nonisolated(nonsending) static func withCallID<Result>(
        _ id: CallID, _ body: nonisolated(nonsending) () async throws -> Result
    ) async rethrows -> Result {
        try await CallContext.$callID.withValue(id, operation: body)
    }

    /// Runs `body` with another policy for full mailboxes.
    public nonisolated(nonsending) static func whenFull<Result>(
        _ policy: WhenFull, _ body: nonisolated(nonsending) () async throws -> Result
    ) async rethrows -> Result {
        try await CallContext.$whenFull.withValue(policy, operation: body)
    }
}

extension Fingerprint {
    /// Of what a call asks for: target, method and arguments; never 0.
    static func of(_ target: ActorID, _ method: String, _ arguments: [[UInt8]]) -> UInt64 {
        var hash = of(target.description.utf8)
        hash = of(method.utf8, seed: hash)
        for argument in arguments { hash = of(argument, seed: hash) }
        return max(hash, 1)
    }
}

extension Troupe {
    /// The result in a committed outcome.
    public func decode<Value: Codable & Sendable>(_ type: Value.Type, from outcome: Outcome) async throws -> Value {
        let payload = try await data.expand(outcome.payload)
        do {
            return try await decode(type, checking: payload)
        } catch let error as ExchangeError {
            throw TroupeError(error)
        }
    }
}
