import Distributed
import TroupeCore

extension StatefulActor {
    /// Sets a durable timer: after `interval`, and every `interval` from then on, the call is a message to this actor. It is
    /// set when the turn commits, outlives activations and workers, and replaces one of the same name. A firing that finds
    /// the last one still queued is left out.
    ///
    /// - Parameter call: makes exactly one call on the handle of this actor that it is given.
    /// - Throws: ``TroupeError/Code/misuse`` outside a turn of this actor.
    public func every<Result>(
        _ interval: Duration, named name: String, _ call: @Sendable (Self) async throws -> Result
    ) async throws {
        try await setTimer(name, after: interval, interval: interval, call)
    }

    /// Sets a durable timer that fires once.
    public func after<Result>(
        _ delay: Duration, named name: String, _ call: @Sendable (Self) async throws -> Result
    ) async throws {
        try await setTimer(name, after: delay, interval: nil, call)
    }

    /// Cancels the timer of that name, if there is one; a firing that is queued already is still delivered.
    public func cancelTimer(named name: String) throws {
        guard let turn = CallContext.turn, turn.actor == id else { throw Self.outsideTurn }
        try turn.set(.cancel(name: name))
    }

    private func setTimer<Result>(
        _ name: String, after delay: Duration, interval: Duration?, _ call: @Sendable (Self) async throws -> Result
    ) async throws {
        guard let turn = CallContext.turn, turn.actor == id else { throw Self.outsideTurn }
        guard (1...200).contains(name.utf8.count), !name.utf8.contains(where: { $0 < 0x20 }) else {
            throw TroupeError(.misuse, "a timer's name has 1 to 200 bytes and no control characters")
        }
        if let interval, interval < .milliseconds(1) {
            throw TroupeError(
                .misuse, "the timer '\(name)' would fire without end: give it an interval of at least 1 ms")
        }
        _ = try await actorSystem.once(.timer(name: name, delay: delay, interval: interval), try handle, call)
    }

    private static var outsideTurn: TroupeError {
        TroupeError(.misuse, "timers are set and cancelled in a turn of the actor they belong to")
    }
}
