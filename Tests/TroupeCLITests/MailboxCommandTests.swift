import CBOR
import Testing
import TroupeCore

@testable import TroupeCLI

/// The mailbox, exchange and worker commands against an exchange of this process.
@Suite(.timeLimit(.minutes(1))) struct MailboxCommandTests {
    private static func filled(
        _ exchange: Exchange, _ count: Int, in text: String = "Counter/hits"
    ) async throws -> ActorID {
        let id = try await exchange.spawn(text)
        for number in 1...count {
            try await exchange.store("add(_:)", .array([.integer(number)]), in: id, id: "\(text)-\(number)")
        }
        return id
    }

    @Test func listsMailboxesThatHoldSomething() async throws {
        let exchange = Exchange.inMemory(shards: 2)
        for number in 10..<40 { _ = try await exchange.spawn("Counter/idle\(number)") }
        _ = try await Self.filled(exchange, 3)
        _ = try await Self.filled(exchange, 1, in: "Note/n")
        let list = await CommandRun.of(["mailbox", "ls"], on: exchange)
        #expect(list.lines.count == 3)
        #expect(list.lines[1].hasPrefix("Counter/hits  ready        3            0     0"))
        #expect(list.notes.isEmpty)
        let one = await CommandRun.of(["mailbox", "ls", "--limit", "1"], on: exchange)
        #expect(one.lines.count == 2)
        #expect(one.notes == ["there are more; go on with --after Counter/hits, or use --all"])
        let rest = await CommandRun.of(["mailbox", "ls", "--after", "Counter/hits"], on: exchange)
        #expect(rest.lines.count == 2)
        let all = await CommandRun.of(["mailbox", "ls", "--empty", "--all"], on: exchange)
        #expect(all.lines.count == 33)
    }

    @Test func peeksWithinBounds() async throws {
        let exchange = Exchange.inMemory()
        let id = try await Self.filled(exchange, 25)
        let peek = await CommandRun.of(["mailbox", "peek", "Counter/hits"], on: exchange)
        #expect(peek.lines.count == 11)
        #expect(peek.lines[1].hasSuffix("[1]"))
        #expect(peek.notes == ["there may be more; go on with --after 10"])
        let rest = await CommandRun.of(
            ["mailbox", "peek", "Counter/hits", "--after", "20", "--limit", "100"], on: exchange)
        #expect(rest.lines.count == 6)
        let many = await CommandRun.of(["mailbox", "peek", "Counter/hits", "--limit", "24"], on: exchange)
        #expect(many.lines.count == 25)
        try await exchange.store(
            "keep(_:)", .array([.text(String(repeating: "x", count: 100_000))]), in: id, id: "long")
        let long = await CommandRun.of(["mailbox", "peek", "Counter/hits", "--after", "25", "--json"], on: exchange)
        #expect(long.output.utf8.count < 1000)
        #expect(long.output.contains(#""isArgumentsCut":true"#))
    }

    @Test func escapesWhatOthersSent() async throws {
        let exchange = Exchange.inMemory()
        let id = try await exchange.spawn("Counter/hits")
        try await exchange.store("a\u{1B}]0;x\u{7}", .array([.text("\u{9B}31m\u{202E}")]), in: id, id: "evil")
        for words in [["mailbox", "peek", "Counter/hits"], ["mailbox", "peek", "Counter/hits", "--json"]] {
            let shown = await CommandRun.of(words, on: exchange).output
            #expect(!shown.isEmpty)
            #expect(
                !shown.unicodeScalars.contains {
                    $0.value < 0x20 && $0 != "\n" || (0x7F..<0xA0).contains($0.value) || $0.value == 0x202E
                })
        }
    }

    @Test func followsAMailbox() async throws {
        let exchange = Exchange.inMemory()
        let id = try await Self.filled(exchange, 2)
        let waiting = await CommandRun.of(
            ["mailbox", "tail", "Counter/hits", "--from-start", "--count", "2"], on: exchange)
        #expect(waiting.lines.count == 3)
        async let tail = CommandRun.of(
            ["mailbox", "tail", "Counter/hits", "--from-start", "--count", "4", "--interval", "10ms", "--json"],
            on: exchange)
        for number in 3...4 {
            try await exchange.store("add(_:)", .array([.integer(number)]), in: id, id: "later-\(number)")
        }
        let lines = await tail.lines
        #expect(lines.count == 4)
        #expect(lines.last?.contains(#""arguments":"[4]""#) == true)
    }

    @Test func pausesAndResumes() async throws {
        let exchange = Exchange.inMemory()
        _ = try await Self.filled(exchange, 1)
        #expect(
            await CommandRun.of(["mailbox", "pause", "Counter/hits"], on: exchange).lines == ["Counter/hits paused"])
        try await exchange.withWorker { exchange in
            let stat = await CommandRun.of(["mailbox", "stat", "hits"], on: exchange)
            #expect(stat.output.contains("paused         yes"))
            let late = await CommandRun.of(["actor", "call", "hits", "value", "--timeout", "30ms"], on: exchange)
            #expect(late.failure?.message.contains("its mailbox is paused") == true)
            let resumed = await CommandRun.of(["mailbox", "resume", "hits", "--json"], on: exchange)
            #expect(resumed.lines == [#"{"id":"Counter/hits","isPaused":false}"#])
            #expect(await CommandRun.of(["actor", "call", "hits", "value"], on: exchange).lines == ["1"])
        }
    }

    @Test func handlesDeadLetters() async throws {
        try await Exchange.inMemory(shards: 2).withWorker { exchange in
            let id = try await exchange.spawn("Counter/hits")
            for number in 1...3 {
                try await exchange.store("garble()", .array([]), in: id, id: "bad-\(number)")
                _ = await CommandRun.of(["call", "status", "bad-\(number)", "--wait"], on: exchange)
            }
            let actors = await CommandRun.of(["mailbox", "dead", "ls"], on: exchange)
            #expect(actors.lines.count == 2)
            #expect(actors.lines[1].hasPrefix("Counter/hits"))
            let letters = await CommandRun.of(["mailbox", "dead", "ls", "hits"], on: exchange)
            #expect(letters.lines.count == 4)
            #expect(letters.lines[1].hasSuffix("the code has no garble()"))
            let shown = await CommandRun.of(["mailbox", "dead", "show", "hits", "2"], on: exchange)
            #expect(shown.output.contains("call        bad-2"))
            #expect(shown.output.contains("reason      the code has no garble()"))

            let discarded = await CommandRun.of(["mailbox", "dead", "discard", "hits", "2"], on: exchange)
            #expect(discarded.lines == ["1 dead letter(s) of Counter/hits discarded"])
            let gone = await CommandRun.of(["mailbox", "dead", "show", "hits", "2"], on: exchange)
            #expect(gone.exitCode == 1)
            #expect(gone.failure?.message.contains("has no dead letter 2") == true)
            #expect(await CommandRun.of(["mailbox", "dead", "discard", "hits", "--all"], on: exchange).exitCode == 64)

            _ = await CommandRun.of(["mailbox", "pause", "hits"], on: exchange)
            let requeued = await CommandRun.of(["mailbox", "dead", "requeue", "hits", "--all", "--json"], on: exchange)
            #expect(requeued.lines == [#"{"id":"Counter/hits","sequences":[1,3]}"#])
            #expect(await CommandRun.of(["mailbox", "peek", "hits"], on: exchange).lines.count == 3)
        }
    }

    @Test func refusesASelectionThatIsNone() async throws {
        let none = await CommandRun.of(["mailbox", "dead", "requeue", "hits"], on: .inMemory())
        #expect(none.exitCode == 64)
        let both = await CommandRun.of(["mailbox", "dead", "requeue", "hits", "1", "--all"], on: .inMemory())
        #expect(both.exitCode == 64)
    }

    @Test func listsAndDrainsWorkers() async throws {
        let exchange = Exchange.inMemory(shards: 2)
        #expect(await CommandRun.of(["worker", "ls"], on: exchange).lines.count == 1)
        let run = try await exchange.withWorker { exchange in
            let list = await CommandRun.of(["worker", "ls"], on: exchange)
            #expect(list.lines.count == 2)
            #expect(list.lines[1].contains("w-1"))
            #expect(list.lines[1].hasSuffix("live   Counter Note"))
            return await CommandRun.of(["worker", "drain", "w-1", "--wait", "--json"], on: exchange)
        }
        #expect(run.lines == [#"{"hasLeft":true,"id":"w-1"}"#])
        let unknown = await CommandRun.of(["worker", "drain", "w-2"], on: exchange)
        #expect(unknown.failure?.message.contains("there is no worker w-2") == true)
    }

    @Test func drainingIsBounded() async throws {
        let exchange = Exchange.inMemory()
        try await ProtocolWorker(on: exchange).register()
        let late = await CommandRun.of(["worker", "drain", "w-1", "--wait", "--timeout", "10ms"], on: exchange)
        #expect(late.exitCode == 2)
        #expect(await CommandRun.of(["worker", "ls"], on: exchange).output.contains("draining"))
    }

    @Test func describesTheExchange() async throws {
        let exchange = Exchange.inMemory(shards: 2)
        try await ProtocolWorker(on: exchange).register()
        _ = try await Self.filled(exchange, 2)
        let info = await CommandRun.of(["exchange", "info"], on: exchange)
        #expect(info.output.contains("shards          2"))
        #expect(info.output.contains("workers         1"))
        #expect(info.output.contains("add(_: Swift.Int) -> Swift.Int"))
        let json = await CommandRun.of(["exchange", "info", "--json"], on: exchange)
        #expect(json.output.contains(#""durability":"volatile""#))
        #expect(json.output.contains(#""queuedCount":2"#))
        let ping = await CommandRun.of(["exchange", "ping", "--count", "3", "--interval", "1ms"], on: exchange)
        #expect(ping.lines.count == 4)
        #expect(ping.lines[3].hasPrefix("min "))
    }

    @Test func saysThatAnExchangeIsClosed() async throws {
        let exchange = Exchange.inMemory()
        await exchange.shards[0].close()
        let run = await CommandRun.of(["actor", "ls"], on: exchange)
        #expect(run.exitCode == 2)
    }
}
