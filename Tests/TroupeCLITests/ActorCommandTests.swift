import CBOR
import Testing
import TroupeCore

@testable import TroupeCLI

/// The actor commands against an exchange of this process, with a worker at protocol level.
@Suite(.timeLimit(.minutes(1))) struct ActorCommandTests {
    @Test func spawnsAndCalls() async throws {
        try await Exchange.inMemory().withWorker { exchange in
            let spawned = await CommandRun.of(
                ["actor", "spawn", "Counter", "hits", "--label", "region=eu"], on: exchange)
            #expect(spawned.lines == ["Counter/hits"])
            #expect(await CommandRun.of(["actor", "call", "hits", "add", "5"], on: exchange).lines == ["5"])
            #expect(
                await CommandRun.of(["actor", "call", "Counter/hits", "add(_:)", "-2"], on: exchange).lines == ["3"])
            let json = await CommandRun.of(["actor", "call", "hits", "value", "--json"], on: exchange)
            #expect(json.output.contains(#""result":3,"status":"committed"}"#))
            #expect(json.failure == nil)
        }
    }

    @Test func spawnsWithAStateOfItsOwn() async throws {
        try await Exchange.inMemory(shards: 3).withWorker { exchange in
            for name in ["a", "b", "c", "d"] {
                _ = await CommandRun.of(
                    ["actor", "spawn", "Counter", name, "--state", #"{"count": 40}"#], on: exchange)
                #expect(await CommandRun.of(["actor", "call", name, "add", "2"], on: exchange).lines == ["42"])
            }
            let bad = await CommandRun.of(["actor", "spawn", "Counter", "e", "--state", "{"], on: exchange)
            #expect(bad.exitCode == 64)
        }
    }

    @Test func refusesToSpawnTwice() async throws {
        try await Exchange.inMemory().withWorker { exchange in
            _ = try await exchange.spawn("Counter/hits")
            let again = await CommandRun.of(["actor", "spawn", "Counter", "hits"], on: exchange)
            #expect(again.exitCode == 1)
            #expect(again.failure?.message.contains("exists already") == true)
            let accepted = await CommandRun.of(
                ["actor", "spawn", "Counter", "hits", "--if-absent", "--json"], on: exchange)
            #expect(accepted.lines == [#"{"id":"Counter/hits","isCreated":false}"#])
        }
    }

    @Test func saysWhichTypesThereAre() async throws {
        let exchange = Exchange.inMemory()
        let none = await CommandRun.of(["actor", "spawn", "Counter", "hits"], on: exchange)
        #expect(none.failure?.message.contains("none is known") == true)
        try await ProtocolWorker(on: exchange).register()
        let other = await CommandRun.of(["actor", "spawn", "Conter", "hits"], on: exchange)
        #expect(other.failure?.message.contains("Counter, Note") == true)
    }

    @Test func bindsLabelsAndReadsValues() async throws {
        try await Exchange.inMemory().withWorker { exchange in
            _ = try await exchange.spawn("Counter/hits")
            _ = try await exchange.spawn("Note/n")
            let echo = await CommandRun.of(["actor", "call", "hits", "echo", "second=1.5", "first=-7"], on: exchange)
            #expect(echo.lines == ["[-7,1.5]"])
            let options = await CommandRun.of(
                ["actor", "call", "hits", "echo", "--second", "2", "--first", "1"], on: exchange)
            #expect(options.lines == ["[1,2]"])
            // The parameter is known to be text, so 5 stays text.
            #expect(await CommandRun.of(["actor", "call", "n", "keep(_:)", "5"], on: exchange).lines == [#"["5"]"#])
            #expect(await CommandRun.of(["actor", "call", "n", "bytes"], on: exchange).lines == ["h'0102'"])
        }
    }

    @Test func reportsThrownErrors() async throws {
        try await Exchange.inMemory().withWorker { exchange in
            _ = try await exchange.spawn("Counter/hits")
            let failed = await CommandRun.of(["actor", "call", "hits", "fail", "no more"], on: exchange)
            #expect(failed.exitCode == 1)
            #expect(failed.failure?.message == "Counter/hits.fail(_:) failed: Refusal: no more")
            #expect(failed.lines.isEmpty)
            let json = await CommandRun.of(["actor", "call", "hits", "fail", "no more", "--json"], on: exchange)
            #expect(json.output.contains(#""errorMessage":"no more","errorType":"Refusal""#))
            #expect(json.exitCode == 1)
        }
    }

    @Test func reportsWhatTheCodeCannotRead() async throws {
        try await Exchange.inMemory().withWorker { exchange in
            _ = try await exchange.spawn("Counter/hits")
            let garbled = await CommandRun.of(["actor", "call", "hits", "add", "five"], on: exchange)
            #expect(garbled.exitCode == 1)
            #expect(garbled.failure?.message.contains("argument 1 of add(_:) is not an Int") == true)
        }
    }

    @Test func namesMethodsAndActorsItDoesNotFind() async throws {
        try await Exchange.inMemory().withWorker { exchange in
            _ = try await exchange.spawn("Counter/hits")
            let method = await CommandRun.of(["actor", "call", "hits", "sub", "1"], on: exchange)
            #expect(method.failure?.message.contains("Counter has no method 'sub'") == true)
            let actor = await CommandRun.of(["actor", "call", "misses", "add", "1"], on: exchange)
            #expect(actor.failure?.message.contains("looked at Counter, Note") == true)
            let id = await CommandRun.of(["actor", "call", "Counter/misses", "add", "1"], on: exchange)
            #expect(id.failure?.message.contains("there is no actor Counter/misses") == true)
            #expect(id.exitCode == 1)
            _ = try await exchange.spawn("Note/hits")
            let both = await CommandRun.of(["actor", "call", "hits", "add", "1"], on: exchange)
            #expect(both.failure?.message.contains("Counter/hits, Note/hits") == true)
        }
    }

    @Test func saysThatNobodyHostsTheType() async throws {
        let exchange = Exchange.inMemory()
        try await ProtocolWorker(on: exchange).register(pools: ["gpu"])
        _ = try await exchange.spawn("Counter/hits")
        let late = await CommandRun.of(["actor", "call", "hits", "add", "1", "--timeout", "50ms"], on: exchange)
        #expect(late.exitCode == 2)
        #expect(
            late.failure?.message.contains("no live worker of pool 'default' hosts the type Counter, only of gpu")
                == true)
        #expect(late.notes.contains { $0.contains("no live worker hosts Counter/hits") })
    }

    @Test func tellsAndAsks() async throws {
        try await Exchange.inMemory(shards: 2).withWorker { exchange in
            _ = try await exchange.spawn("Counter/hits")
            let told = await CommandRun.of(["actor", "tell", "hits", "add", "5"], on: exchange)
            let status = await CommandRun.of(["call", "status", told.output, "--wait"], on: exchange)
            #expect(status.lines == ["committed  5"])
            let json = await CommandRun.of(["call", "status", told.output, "--json"], on: exchange)
            #expect(json.lines == [#"{"id":"\#(told.output)","result":5,"status":"committed"}"#])
            let unknown = await CommandRun.of(["call", "status", "nobody-1"], on: exchange)
            #expect(unknown.lines == ["unknown"])
            #expect(unknown.exitCode == 1)
        }
    }

    @Test func waitsForPendingCallsOnlyWhenAsked() async throws {
        let exchange = Exchange.inMemory()
        let id = try await exchange.spawn("Counter/hits")
        try await exchange.store("add(_:)", .array([.unsigned(1)]), in: id, id: "call-1")
        let pending = await CommandRun.of(["call", "status", "call-1"], on: exchange)
        #expect(pending.lines == ["pending"])
        #expect(pending.exitCode == 0)
        let waited = await CommandRun.of(["call", "status", "call-1", "--wait", "--timeout", "30ms"], on: exchange)
        #expect(waited.exitCode == 2)
    }

    @Test func waitsForRoom() async throws {
        let exchange = Exchange.inMemory()
        var options = ActorOptions()
        options.mailboxCountMax = 1
        let id = try ActorID(parsing: "Counter/hits")
        _ = try await exchange.shards[0].perform(
            .register(ActorRegistration(id: id, options: options, state: ProtocolWorker.state(0))))
        try await ProtocolWorker(on: exchange).register()
        try await exchange.store("add(_:)", .array([.unsigned(1)]), in: id, id: "call-1")
        let full = await CommandRun.of(["actor", "tell", "hits", "add", "1", "--timeout", "30ms"], on: exchange)
        #expect(full.failure?.message.contains("had no room within 30 ms") == true)
        #expect(full.exitCode == 2)
        let waiting = Task { await CommandRun.of(["actor", "call", "hits", "add", "1"], on: exchange) }
        let total = try await exchange.withWorker { _ in await waiting.value }
        #expect(total.lines == ["2"])
    }

    @Test func listsInPages() async throws {
        let exchange = Exchange.inMemory(shards: 3)
        for number in 100..<145 {
            _ = try await exchange.spawn("Counter/c\(number)", labels: ["odd": "\(number % 2)"])
        }
        _ = try await exchange.spawn("Note/n")
        let first = await CommandRun.of(["actor", "ls"], on: exchange)
        #expect(first.lines.count == 21)
        #expect(first.lines[0].hasPrefix("ACTOR"))
        #expect(first.lines[1].hasPrefix("Counter/c100  dormant"))
        #expect(first.notes == ["there are more; go on with --after Counter/c119, or use --all"])
        let second = await CommandRun.of(["actor", "ls", "--after", "Counter/c119", "--limit", "30"], on: exchange)
        #expect(second.lines.dropFirst().first?.hasPrefix("Counter/c120") == true)
        #expect(second.lines.last?.hasPrefix("Note/n") == true)
        #expect(second.notes.isEmpty)
        let odd = await CommandRun.of(["actor", "ls", "--label", "odd=1", "--type", "Counter", "--all"], on: exchange)
        #expect(odd.lines.count == 23)
        let json = await CommandRun.of(["actor", "ls", "--all", "--json", "--type", "Note"], on: exchange)
        #expect(json.output.hasPrefix(#"[{"attemptsMax":5,"createdAt":"#))
        #expect(json.lines.last == "]")
        let none = await CommandRun.of(["actor", "ls", "--type", "Nothing", "--json"], on: exchange)
        #expect(none.lines == ["[]"])
    }

    @Test func showsAnActor() async throws {
        let exchange = Exchange.inMemory()
        let id = try await exchange.spawn("Counter/hits", labels: ["a": "1"])
        let shown = await CommandRun.of(["actor", "show", "Counter/hits"], on: exchange)
        #expect(shown.output.contains(#"state             {"count": 0}  (8 B)"#))
        #expect(shown.output.contains("labels            a=1"))
        let json = await CommandRun.of(["actor", "show", "\(id)", "--json", "--bytes", "3"], on: exchange)
        #expect(json.output.contains(#""isStateCut":true,"proxies":[],"state":"{\"c…"}"#))
    }

    @Test func stopsOnlyWhatLosesNothing() async throws {
        let exchange = Exchange.inMemory()
        let id = try await exchange.spawn("Counter/hits")
        try await exchange.store("add(_:)", .array([.unsigned(1)]), in: id, id: "call-1")
        let refused = await CommandRun.of(["actor", "stop", "Counter/hits"], on: exchange)
        #expect(refused.exitCode == 1)
        #expect(refused.failure?.message.contains("1 queued message(s)") == true)
        let stopped = await CommandRun.of(["actor", "stop", "Counter/hits", "--yes"], on: exchange)
        #expect(stopped.lines == ["Counter/hits stopped; 1 message(s) went with it"])
        #expect(await CommandRun.of(["actor", "stop", "Counter/hits"], on: exchange).exitCode == 1)
        let lost = await CommandRun.of(["call", "status", "call-1"], on: exchange)
        #expect(lost.failure?.message.contains("put aside: Counter/hits was terminated") == true)
    }
}
