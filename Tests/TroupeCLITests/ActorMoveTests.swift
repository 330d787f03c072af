import Testing
import TroupeCore

@testable import TroupeCLI

/// What commands say of actors that move; `MoveKillTests` has the command with both sites.
@Suite(.timeLimit(.minutes(1))) struct ActorMoveTests {
    /// An actor that the endpoint holds on its way, and the endpoint's part.
    private func away(_ exchange: Exchange, then end: MoveEnd?) async throws -> ActorID {
        let id = try await exchange.spawn("Counter/hits")
        let shard = exchange.shard(of: id)
        let carrier = WorkerID(unchecked: "carrier")
        let type = TypeDescription(
            name: ActorID.siteType, methods: [], initialState: nil, options: ActorOptions(), isEager: false)
        _ = try await shard.perform(
            .registerWorker(
                WorkerRegistration(
                    id: carrier, pools: [ActorID.carrierPool], types: [type], host: "here", pid: 1,
                    activationsMax: 10, lease: .seconds(60))))
        _ = try await shard.perform(.divert(id, to: "lab-b"))
        let answer = try await shard.perform(.claim(carrier, max: 1, only: nil, greedy: true))
        guard case .claimed(let claimed) = answer, let activation = claimed.activations.first else {
            throw answer.unexpected("claim")
        }
        guard let end else { return id }
        _ = try await shard.perform(.endMove(carrier, actor: id, epoch: activation.epoch, end))
        return id
    }

    @Test func showsWhereAnActorHasMoved() async throws {
        let exchange = Exchange.inMemory()
        let id = try await away(exchange, then: .arrived)
        #expect(await CommandRun.of(["actor", "ls"], on: exchange).lines[1].contains("moved to lab-b"))
        let json = await CommandRun.of(["actor", "ls", "--json"], on: exchange)
        #expect(json.output.contains(#""movesTo":"lab-b""#))
        #expect(json.output.contains(#""status":"moved""#))
        let shown = await CommandRun.of(["actor", "show", "\(id)"], on: exchange)
        #expect(shown.failure == nil)
        #expect(shown.output.contains("site lab-b"))
        let again = await CommandRun.of(["actor", "move", "\(id)", "--to", "lab-b", "--json"], on: exchange)
        #expect(
            again.lines == [#"{"id":"Counter/hits","movedID":"troupe://lab-b/Counter/hits","site":"lab-b"}"#])
        let other = await CommandRun.of(["actor", "move", "\(id)", "--to", "lab-c"], on: exchange)
        #expect(other.exitCode == 1)
        #expect(other.failure?.message.contains("has moved to site lab-b; move it from there") == true)
        #expect(
            await CommandRun.of(["actor", "stop", "\(id)"], on: exchange).lines == ["Counter/hits stopped"])
    }

    @Test func saysHowOneThatHasMovedComesBack() async throws {
        let exchange = Exchange.inMemory()
        let mailbox = ActorRegistration(
            id: try ActorID(mailboxOfSite: "lab-a"), pool: ActorID.carrierPool,
            labels: [LocalSiteName.label: LocalSiteName.labelValue], state: [0xF6])
        _ = try await exchange.shard(of: mailbox.id).perform(.register(mailbox))
        let id = try await away(exchange, then: .arrived)
        let back = await CommandRun.of(["actor", "move", "\(id)", "--to", "lab-a"], on: exchange)
        #expect(back.exitCode == 1)
        #expect(back.failure?.message.contains("'troupe actor move troupe://lab-b/Counter/hits --to lab-a'") == true)
    }

    @Test func saysWhyAnActorStays() async throws {
        let exchange = Exchange.inMemory()
        let id = try await away(exchange, then: .refused(reason: "there is one already"))
        let shown = await CommandRun.of(["actor", "show", "\(id)"], on: exchange)
        #expect(shown.output.contains("there is one already"))
        let unknown = await CommandRun.of(["actor", "move", "\(id)", "--to", "lab-c"], on: exchange)
        #expect(unknown.exitCode == 1)
        #expect(unknown.failure?.message.contains("lab-c") == true)
        #expect(await CommandRun.of(["actor", "move", "\(id)"], on: exchange).exitCode == 64)
        let nobody = await CommandRun.of(["actor", "move", "Counter/nobody", "--to", "lab-b"], on: exchange)
        #expect(nobody.exitCode == 1)
    }

    @Test func waitsForOneThatIsOnItsWay() async throws {
        let exchange = Exchange.inMemory()
        let id = try await away(exchange, then: nil)
        #expect(await CommandRun.of(["actor", "ls"], on: exchange).lines[1].contains("moving to lab-b"))
        let late = await CommandRun.of(
            ["actor", "move", "\(id)", "--to", "lab-b", "--timeout", "100ms"], on: exchange)
        #expect(late.exitCode == 2)
        #expect(late.failure?.message.contains("is on its way") == true)
        let stopped = await CommandRun.of(["actor", "stop", "\(id)"], on: exchange)
        #expect(stopped.exitCode == 1)
        #expect(stopped.failure?.message.contains("is on its way to site lab-b") == true)
    }
}
