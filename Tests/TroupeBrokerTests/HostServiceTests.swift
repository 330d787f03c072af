import Glibc
import Logging
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// A broker of its own and what goes wrong around it.
@Suite struct HostServiceTests {
    let scratch = Scratch()

    /// Runs a broker for as long as the body does.
    private func serving(
        _ configuration: BrokerServiceConfiguration, _ body: (BrokerReady) async throws -> Void
    ) async throws {
        let ready = Collector<BrokerReady>()
        let service = BrokerService(configuration, logger: quiet) { ready.add($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.run() }
            let said = await ready.first(1)[0]
            try await body(said)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func configuration(
        _ urls: [String], _ durability: DurabilityClass = .volatile
    ) throws -> BrokerServiceConfiguration {
        BrokerServiceConfiguration(
            listen: try urls.map { try BrokerAddress($0) },
            journalDirectory: durability == .volatile ? nil : scratch.file("j"), durability: durability)
    }

    private func limits(_ connect: Duration = .milliseconds(300)) -> BrokerShard.Limits {
        var limits = BrokerShard.Limits()
        limits.connectTimeout = connect
        return limits
    }

    // MARK: Serving

    @Test func itServesSaysWhereAndEndsCleanly() async throws {
        let actor = try ActorID(type: "Counter", name: "a")
        for round in 1...2 {
            try await serving(configuration(["ipc://" + scratch.file("s"), "ipc://" + scratch.file("t")], .durable)) {
                ready in
                #expect(ready.durability.level == .durable && ready.durability.detail.contains(scratch.file("j")))
                #expect(ready.addresses == ["ipc://" + scratch.file("s"), "ipc://" + scratch.file("t")])
                for url in ready.addresses {
                    let exchange = try await BrokerExchange.connect(url: url, logger: quiet)
                    #expect(exchange.durability == ready.durability)
                    let answer = try await exchange.shards[0].perform(
                        .register(ActorRegistration(id: actor, state: [1])))
                    #expect(answer == .registered(round == 1 && url == ready.addresses[0] ? .created : .existed))
                    await exchange.shards[0].close()
                    let error = await exchangeFailure { () async throws(ExchangeError) in
                        try await exchange.shards[0].perform(.shardStat)
                    }
                    #expect(error?.code == .closed)
                }
            }
        }
    }

    @Test func itAsksForAToken() async throws {
        let right = try scratch.write("right", Array("0123456789abcdef0123".utf8))
        let wrong = try scratch.write("wrong", Array("x123456789abcdef0123".utf8))
        try await serving(configuration(["tcp://127.0.0.1:0?token-file=\(right)"])) { ready in
            #expect(!ready.addresses[0].hasSuffix(":0"))
            let exchange = try await BrokerExchange.connect(
                url: ready.addresses[0] + "?token-file=\(right)", logger: quiet)
            #expect(exchange.durability.level == .volatile)
            await exchange.shards[0].close()
            for (url, word) in [
                (ready.addresses[0] + "?token-file=\(wrong)", "token"), (ready.addresses[0], "TROUPE_TOKEN"),
            ] {
                let error = await exchangeFailure { () async throws(ExchangeError) in
                    try await BrokerExchange.connect(url: url, logger: quiet)
                }
                #expect(
                    error?.code == .unauthorized && error?.message.contains(word) == true,
                    "\(String(describing: error))")
            }
        }
    }

    @Test func itRefusesWhatItCannotServe() async throws {
        let taken = try NNGReplier { $0.reply($0.frame) }
        defer { taken.close() }
        try taken.listen(NNGAddress(url: "ipc://" + scratch.file("taken")))
        var noDirectory = try configuration(["ipc://" + scratch.file("s")], .durable)
        noDirectory.journalDirectory = nil
        let cases: [(BrokerServiceConfiguration, BrokerError.Code, String)] = [
            (try configuration([]), .invalidAddress, "ipc:///PATH"),
            (try configuration(["embedded:" + scratch.path]), .invalidAddress, "embedded:"),
            (noDirectory, .invalidAddress, "directory"),
            (try configuration(["ipc://" + scratch.file("taken")], .journaled), .addressInUse, scratch.file("taken")),
        ]
        for (configuration, code, word) in cases {
            let error = await #expect(throws: BrokerError.self) {
                try await BrokerService(configuration, logger: quiet).run()
            }
            #expect(error?.code == code && error?.message.contains(word) == true, "\(String(describing: error))")
        }
    }

    /// A journal that is cut short, foreign, or whose rows are no records of ours: refused, named, and left as it is.
    @Test func itLeavesABadJournalAsItIs() async throws {
        let configuration = try configuration(["ipc://" + scratch.file("s")], .journaled)
        try await serving(configuration) { ready in
            let exchange = try await BrokerExchange.connect(url: ready.addresses[0], logger: quiet)
            for number in 1...50 {
                let id = try ActorID(type: "Counter", name: "\(number)")
                let state = [UInt8](repeating: 7, count: 2000)
                _ = try await exchange.shards[0].perform(.register(ActorRegistration(id: id, state: state)))
            }
            await exchange.shards[0].close()
        }
        let path = scratch.file("j/journal.sqlite")
        let whole = try FileSystem.read(path)
        let bad: [([UInt8], BrokerError.Code)] = [
            (Array(whole.prefix(whole.count / 2)), .corrupt), (Array(whole.prefix(60)), .foreignFile),
            (Array("not a journal at all".utf8), .foreignFile),
        ]
        for (bytes, code) in bad {
            _ = try scratch.write("j/journal.sqlite", bytes)
            let error = await #expect(throws: BrokerError.self) {
                try await BrokerService(configuration, logger: quiet).run()
            }
            #expect(error?.code == code && error?.message.contains(path) == true, "\(String(describing: error))")
            #expect(try FileSystem.read(path) == bytes)
        }
        _ = try scratch.write("j/journal.sqlite", whole)
        let journal = try Journal.open(path, options: JournalOptions(durability: .journaled))
        try await journal.settled(journal.append([.put(JournalKey(.actors, "pCounter/1"), [0x80])]))
        try journal.close()
        let error = await #expect(throws: BrokerError.self) {
            try await BrokerService(configuration, logger: quiet).run()
        }
        #expect(error?.code == .corrupt && error?.message.contains("Counter/1") == true, "\(String(describing: error))")
    }

    // MARK: Connecting

    @Test func nobodyThereIsSaidInTime() async throws {
        for url in ["ipc://" + scratch.file("nobody"), "inproc://nobody-\(scratch.path)", "tcp://127.0.0.1:1"] {
            let start = ContinuousClock.now
            let error = await exchangeFailure { () async throws(ExchangeError) in
                try await BrokerExchange.connect(url: url, limits: limits(), logger: quiet)
            }
            #expect(error?.code == .unreachable, "\(String(describing: error))")
            #expect(error?.message.contains(url) == true && error?.message.contains("check") == true)
            #expect(ContinuousClock.now - start < .seconds(5))
        }
        #expect(BrokerShard.Limits().connectTimeout <= .seconds(5))
    }

    @Test func whatIsNoBrokerIsSaidToBeNone() async throws {
        let other = try NNGReplier { $0.reply(Frame(version: 9, kind: .answer, body: [1])) }
        defer { other.close() }
        try other.listen(NNGAddress(url: "ipc://" + scratch.file("other")))
        let newer = try NNGReplier { $0.reply(Frame(.answer, [0x01])) }
        defer { newer.close() }
        try newer.listen(NNGAddress(url: "ipc://" + scratch.file("newer")))
        for name in ["other", "newer"] {
            let error = await exchangeFailure { () async throws(ExchangeError) in
                try await BrokerExchange.connect(url: "ipc://" + scratch.file(name), logger: quiet)
            }
            #expect(error?.code == .unsupportedVersion && error?.message.contains(scratch.file(name)) == true)
        }
        let error = await exchangeFailure { () async throws(ExchangeError) in
            try await BrokerExchange.connect(url: "ipc://relative", logger: quiet)
        }
        #expect(error?.code == .invalidArgument)
    }

    /// Its clients wait for a broker that restarts, and say after their patience that it is gone.
    @Test func aBrokerThatIsGoneIsMissed() async throws {
        var limits = BrokerShard.Limits()
        limits.patience = .milliseconds(300)
        let url = "ipc://" + scratch.file("s")
        var shard: (any Shard)?
        try await serving(configuration([url])) { _ in
            shard = try await BrokerExchange.connect(url: url, limits: limits, logger: quiet).shards[0]
            _ = try await shard?.perform(.shardStat)
        }
        let error = await exchangeFailure { () async throws(ExchangeError) in try await shard?.perform(.shardStat) }
        #expect(error?.code == .unreachable && error?.message.contains(url) == true, "\(String(describing: error))")
        try await serving(configuration([url])) { _ in
            // Its patience is shorter than the pause between two tries to connect.
            try await eventually("the broker that came back answers") {
                guard case .shardStat? = try? await shard?.perform(.shardStat) else { return false }
                return true
            }
        }
        await shard?.close()
    }

    /// An operation that is under way is finished also when its task is cancelled, and a wait comes back with nothing.
    @Test func cancellationEndsWaitsAndNotOperations() async throws {
        let kind = HostedShard.Kind(transport: .ipc, durability: .volatile)
        let shard = try await HostedShard.open(scratch, kind, clock: SystemClock())
        let answers = await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            let stat = try? await shard.perform(.workers)
            let page = try? await shard.receipts(
                ClientID(unchecked: "c"), after: Cursor(), max: 1, timeout: .seconds(50))
            return (stat, page?.items)
        }.value
        #expect(answers.0 == .workers([]) && answers.1 == [])
        await shard.close()
    }

    // MARK: Bad company

    @Test func garbageOnTheSocketHarmsNobody() async throws {
        let kind = HostedShard.Kind(transport: .ipc, durability: .journaled)
        let shard = try await HostedShard.open(scratch, kind, clock: SystemClock())
        let actor = try ActorID(type: "Counter", name: "a")
        _ = try await shard.perform(.register(ActorRegistration(id: actor, state: [])))
        _ = try await shard.perform(.send([.test("c-1", to: actor)], from: ClientID(unchecked: "c"), resuming: false))
        // Bytes that are no nng, then frames that are no operations.
        let greeting: [UInt8] = [0, 0x53, 0x50, 0, 0, 0x30, 0, 0]
        let noises = [
            [UInt8](repeating: 0xA5, count: 5000), Array("GET / HTTP/1.0\r\n\r\n".utf8), greeting + [1, 255],
        ]
        for bytes in noises {
            try Stranger(scratch.file("s")).say(bytes)
        }
        let stranger = try NNGRequester(shard.address)
        var random = SplitMix64(seed: 5)
        for count in 0..<50 {
            let noise = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let reply = try await stranger.request(Frame(.operation, [0x82, 0x00] + noise), timeout: .seconds(20))
            #expect(reply.refusal?.reason == .malformed)
        }
        #expect(
            try await stranger.request(Frame(Frame.Kind(rawValue: 99)), timeout: .seconds(20)).refusal?.reason
                == .unknownKind)
        stranger.close()
        guard case .peeked(let queued) = try await shard.perform(.peek(actor, after: 0, limit: 10)) else {
            return #expect(Bool(false))
        }
        #expect(queued.map(\.envelope.id.text) == ["c-1"])
        await shard.close()
    }

    /// Each refusal is in the log or counted there, in few lines, and nothing of what was sent is.
    @Test func whatIsRefusedIsLogged() async throws {
        let log = Collector<String>()
        let kind = HostedShard.Kind(transport: .ipc, durability: .volatile)
        let shard = try await HostedShard.open(
            scratch, kind, clock: SystemClock(), logger: LineLog.logger("broker") { log.add($0) })
        let greeting = Array("TRPB\r\n\0\u{1}".utf8)
        // No protocol of ours, and a frame of 256 MiB.
        let noises = [Array("GET /secret HTTP/1.0\r\n\r\n".utf8), greeting + [0x10, 0, 0, 0, 0, 0, 0, 1, 2, 0x10]]
        for bytes in noises { try Stranger(scratch.file("s")).say(bytes) }
        let stranger = try NNGRequester(shard.address)
        let secret = Array("not-for-the-log".utf8)
        let frames = [
            Frame(version: 9, kind: .operation, body: secret), Frame(Frame.Kind(rawValue: 99), secret),
            Frame(.operation, [0x6F] + secret),
        ]
        for frame in frames {
            #expect(try await stranger.request(frame, timeout: .seconds(20)).kind == .refused)
        }
        var refusedCount = noises.count + frames.count
        // The lines come one a second at the most, so what is left out is told with a later one.
        try await eventually("all refusals are told of") {
            _ = try await stranger.request(frames[0], timeout: .seconds(20))
            refusedCount += 1
            return await log.first(0).reduce(0) { $0 + Self.refusals(in: $1) } == refusedCount
        }
        let lines = await log.first(2).joined(separator: "\n")
        #expect(lines.contains("does not speak Troupe's protocol"))
        #expect(!lines.contains("secret") && !lines.contains("not-for-the-log"))
        stranger.close()
        #expect(try await shard.perform(.workers) == .workers([]))
        await shard.close()
    }

    /// A line tells of one refusal, and of those before it that it counts.
    private static func refusals(in line: String) -> Int {
        guard line.contains("was refused") else { return 0 }
        let counted = line.firstMatch(of: /"more-unlogged": (\d+)/).flatMap { Int($0.output.1) } ?? 0
        return 1 + counted
    }

    /// What is told of each kind of refusal.
    @Test func eachRefusalSaysWhatIsWrong() async throws {
        let greeting = Array("TRPB\r\n\0\u{1}".utf8)
        func line(_ name: String, _ misbehave: (HostedShard) async throws -> Void) async throws -> String {
            let log = Collector<String>()
            let scratch = Scratch()
            let kind = HostedShard.Kind(transport: .ipc, durability: .volatile)
            let shard = try await HostedShard.open(
                scratch, kind, clock: SystemClock(), logger: LineLog.logger("broker") { log.add($0) })
            try await misbehave(shard)
            let line = await log.first(1)[0]
            await shard.close()
            return line
        }
        func frame(_ frame: Frame) -> (HostedShard) async throws -> Void {
            { shard in
                let stranger = try NNGRequester(shard.address)
                _ = try await stranger.request(frame, timeout: .seconds(20))
                stranger.close()
            }
        }
        func bytes(_ bytes: [UInt8]) -> (HostedShard) async throws -> Void {
            { try Stranger(String($0.address.url.dropFirst("ipc://".count))).say(bytes) }
        }
        let cases: [(String, (HostedShard) async throws -> Void)] = [
            ("does not speak Troupe's protocol", bytes([UInt8](repeating: 0xA5, count: 5000))),
            ("over the limit of", bytes(greeting + [0x10, 0, 0, 0, 0, 0, 0, 1, 2, 0x10])),
            ("not 9", frame(Frame(version: 9, kind: .operation, body: []))),
            ("frames of kind 99", frame(Frame(Frame.Kind(rawValue: 99)))),
            ("3 bytes that cannot be read", frame(Frame(.operation, [0x82, 0xFF, 0xFF]))),
        ]
        for (words, misbehave) in cases {
            let line = try await line(words, misbehave)
            #expect(line.contains("notice") && line.contains("was refused") && line.contains(words), "\(line)")
        }
    }

    @Test func whoDoesNotProveItsTokenIsSentAway() async throws {
        let journal = try Journal.open(
            scratch.file("journal.sqlite"), options: JournalOptions(durability: .volatile))
        var options = BrokerServer.Options()
        options.ticksItself = false
        options.proofTimeout = .milliseconds(500)
        let token = try BrokerToken("0123456789abcdef".utf8, from: "this test")
        let log = Collector<String>()
        let server = try BrokerServer(
            journal: journal, tokens: [token], clock: SystemClock(), logger: LineLog.logger("broker") { log.add($0) },
            options: options)
        let address = NNGAddress(url: "ipc://" + scratch.file("s"))
        _ = try server.listen([address])
        let friend = try await BrokerShard(FixedDialler(address: address, token: token), limits: .init())
        let stranger = try Python(
            #"""
            import socket, sys
            s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sys.argv[1]); s.sendall(b"TRPB\r\n\0\1")
            print("in", flush=True)
            while s.recv(4096): pass
            print("out", flush=True)
            """#, [scratch.file("s")])
        #expect(try stranger.line() == "out")
        #expect(await log.first(1)[0].contains("it has not proved the token in 0.5 seconds"))
        #expect(try await friend.perform(.workers) == .workers([]))
        await friend.close()
        await BrokerShard.offPool { server.close() }
    }

    @Test func anEnvelopeOverTheLimitIsRefused() async throws {
        let kind = HostedShard.Kind(transport: .ipc, durability: .volatile)
        let shard = try await HostedShard.open(scratch, kind, clock: SystemClock())
        let actor = try ActorID(type: "Counter", name: "a")
        let client = ClientID(unchecked: "c")
        _ = try await shard.perform(.register(ActorRegistration(id: actor, state: [])))
        let large = Envelope.test("large", to: actor, arguments: [UInt8](repeating: 0, count: 5 << 20))
        let answer = try await shard.perform(.send([large, .test("small", to: actor)], from: client, resuming: false))
        #expect(answer == .sent([.tooLarge(limitBytes: 4 << 20), .accepted(sequence: 1, isHosted: false)]))
        let huge = Envelope.test("huge", to: actor, arguments: [UInt8](repeating: 0, count: 65 << 20))
        let error = await exchangeFailure { () async throws(ExchangeError) in
            try await shard.perform(.send([huge], from: client, resuming: false))
        }
        #expect(error?.code == .tooLarge)
        guard case .shardStat(let stat) = try await shard.perform(.shardStat) else { return #expect(Bool(false)) }
        #expect(stat.queuedCount == 1)
        await shard.close()
    }

    // MARK: Held reads

    @Test func heldReadsAreBoundedAndGoWithTheirReaders() async throws {
        let kind = HostedShard.Kind(transport: .ipc, durability: .volatile)
        let shard = try await HostedShard.open(scratch, kind, clock: ManualClock(), heldMax: 3)
        let reader = try NNGRequester(shard.address)
        func read(_ client: String, _ wait: Duration, then body: @escaping NNGRequester.Completion) throws {
            let request = BrokerRequest.perform(
                .receive(ClientID(unchecked: client), after: Cursor(), max: 1), wait: wait)
            reader.start(Frame(.operation, try request.encoded()), timeout: .seconds(100), completion: body)
        }
        let answers = Collector<Bool>()
        let body: NNGRequester.Completion = { answers.add((try? $0.get())?.kind == .answer) }
        // The same reader again and again: the last of its reads is held, the others are answered.
        for _ in 1...5 { try read("a", .seconds(50), then: body) }
        #expect(await answers.first(4) == [true, true, true, true])
        try read("b", .seconds(50), then: body)
        try read("c", .seconds(50), then: body)
        while shard.server.heldCount < 3 { await Task.yield() }
        // No room for a fourth reader, who gets its answer at once.
        try read("d", .seconds(50), then: body)
        #expect(await answers.first(5).count == 5)
        #expect(shard.server.heldCount == 3)
        // Who goes politely is forgotten at once, and so is who just goes.
        let goodbye = Frame(.operation, try BrokerRequest.goodbye.encoded())
        #expect(try await reader.request(goodbye, timeout: .seconds(20)).kind == .answer)
        #expect(shard.server.heldCount == 0)
        try read("a", .seconds(50), then: body)
        while shard.server.heldCount < 1 { await Task.yield() }
        reader.close()
        while shard.server.heldCount > 0 { await Task.yield() }
        await shard.close()
    }
}
