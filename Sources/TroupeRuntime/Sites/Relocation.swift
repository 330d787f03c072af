package import TroupeCore

/// Sends an actor to another site and waits until it is there, or stays. The exchange and the endpoints do it; who waits may
/// go, and another may wait for the same move.
package struct Relocation: Sendable {
    package let actor: ActorID
    package let site: String
    private let home: any Shard
    /// The other site, if it is asked before the actor leaves.
    private let there: SiteShard?
    private let clock: any ExchangeClock

    private static let lookInterval = Duration.milliseconds(50)

    /// - Parameters:
    ///   - home: the shard of the actor, or its site.
    ///   - courier: asks the other site whether it is reached, and whether it has such an actor. Only a site that is known
    ///     here can be asked.
    package init(
        _ actor: ActorID, to site: String, from home: any Shard, asking courier: Courier?, clock: any ExchangeClock
    ) {
        self.actor = actor
        self.site = site
        self.home = home
        there = courier.map { SiteShard(site, by: $0, waiting: .seconds(10)) }
        self.clock = clock
    }

    /// - Parameters:
    ///   - time: how long to wait; nil is without bound. When it is over, an actor that is still here stays.
    ///   - onProgress: is shown the actor now and then.
    /// - Throws: ``TroupeError/Code/notMoved`` if it stays, with the reason; ``TroupeError/Code/deadlineExceeded``.
    package func run(waiting time: Duration?, onProgress: (ActorStat) -> Void = { _ in }) async throws -> ActorMove {
        let deadline = time.map { clock.now() + $0 }
        let before = try await stat()
        if before.move.map({ $0.phase == .refused }) ?? true { try await look() }
        let begun = try await divert(to: site)
        guard let begun, begun.site == site else {
            throw TroupeError(.notMoved, "\(actor) \(begun.map(Self.way) ?? "stays"); move it from there")
        }
        while true {
            let stat = try await stat()
            guard let move = stat.move, move.number == begun.number else {
                throw TroupeError(.notMoved, "the move of \(actor) to site \(site) was taken back")
            }
            switch move.phase {
            case .moved: return move
            case .refused:
                throw TroupeError(.notMoved, "\(actor) stays: \(move.reason ?? "site \(site) did not take it")")
            case .leaving, .away: onProgress(stat)
            }
            if let deadline, clock.now() >= deadline { try await giveUp(after: time, stat) }
            try await clock.sleep(until: clock.now() + Self.lookInterval)
        }
    }

    /// Finds out what would be refused, while the actor still runs.
    private func look() async throws {
        guard let there else { return }
        let answer: Answer
        do {
            answer = try await there.perform(.stat(ActorID(type: actor.type, name: actor.name)))
        } catch {
            throw TroupeError(.notMoved, "\(actor) stays: \(error.message)")
        }
        // Whether one that was moved from there may come back, that site decides when it is asked.
        guard case .stat(let found) = answer, found.move?.phase != .moved else { return }
        throw TroupeError(.notMoved, "\(actor) stays: at site \(site), there is one of that name already")
    }

    private func giveUp(after time: Duration?, _ stat: ActorStat) async throws {
        let waited = "within \(time.map { "\($0)" } ?? "any time")"
        let move = try await divert(to: nil)
        guard move == nil else {
            // The last look was a moment ago.
            if move?.phase == .moved || move?.phase == .refused { return }
            let paused = stat.isPaused ? "; it is paused, and goes when it is resumed" : ""
            throw TroupeError(
                .deadlineExceeded,
                "\(actor) did not arrive at site \(site) \(waited), and is on its way: it goes on when both endpoints and "
                    + "the link are there\(paused)")
        }
        let pause = stat.isPaused ? "; it is paused: resume it" : ""
        throw TroupeError(
            .deadlineExceeded,
            "\(actor) stays: what it had begun was not over \(waited) (\(stat.queuedCount) queued)\(pause)")
    }

    private static func way(_ move: ActorMove) -> String {
        move.phase == .moved ? "has moved to site \(move.site)" : "is on its way to site \(move.site)"
    }

    private func stat() async throws -> ActorStat {
        guard case .stat(let stat) = try await perform(.stat(actor)) else { throw noSuchActor }
        return stat
    }

    private func divert(to site: String?) async throws -> ActorMove? {
        switch try await perform(.divert(actor, to: site)) {
        case .move(let move): return move
        case .noSuchActor: throw noSuchActor
        case let answer: throw TroupeError(answer.unexpected("divert"))
        }
    }

    private var noSuchActor: TroupeError { TroupeError(.noSuchActor, "there is no actor \(actor) to move") }

    private func perform(_ operation: Operation) async throws -> Answer {
        do { return try await home.perform(operation) } catch { throw TroupeError(error) }
    }
}
