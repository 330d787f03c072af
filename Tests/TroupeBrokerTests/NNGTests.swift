import Glibc
import Testing

@testable import TroupeBroker

/// Request and reply over real sockets of every transport but TLS, which has tests of its own.
@Suite struct NNGTests {
    let scratch = Scratch()

    private func echo(_ options: NNGReplier.Options = .init()) throws -> NNGReplier {
        try NNGReplier(options: options) { $0.reply(Frame(.answer, $0.frame.body)) }
    }

    private func addresses() -> [NNGAddress] {
        [
            NNGAddress(url: "ipc://" + scratch.file("socket")), NNGAddress(url: "tcp://127.0.0.1:0"),
            NNGAddress(url: "ws://127.0.0.1:0/troupe"), NNGAddress(url: "inproc://" + scratch.path),
        ]
    }

    @Test(arguments: 0..<4) func answersOverTransport(_ index: Int) async throws {
        let replier = try echo()
        defer { replier.close() }
        let address = try replier.listen(addresses()[index]).address
        #expect(!address.url.hasSuffix(":0"))
        let requester = try NNGRequester(address)
        for size in [0, 1, 100, 70_000, 3_000_000] {
            let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let answer = try await requester.request(Frame(.operation, body), timeout: .seconds(20))
            #expect(answer == Frame(.answer, body))
        }
    }

    @Test func socketIsOnlyForItsOwner() throws {
        let replier = try echo()
        defer { replier.close() }
        let path = scratch.file("socket")
        try replier.listen(NNGAddress(url: "ipc://" + path))
        var status = stat()
        try #require(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func holdsMoreRequestsThanItStartsWithAndAnswersInAnyOrder() async throws {
        let held = Collector<NNGRequest>()
        let replier = try NNGReplier { held.add($0) }
        defer { replier.close() }
        let requester = try NNGRequester(replier.listen(NNGAddress(url: "ipc://" + scratch.file("socket"))).address)
        let count = 300
        let answers = try await withThrowingTaskGroup(of: (UInt8, UInt8).self) { group in
            for number in 0..<count {
                group.addTask {
                    let body = [UInt8(truncatingIfNeeded: number), UInt8(number >> 8)]
                    let answer = try await requester.request(Frame(.operation, body), timeout: .seconds(30))
                    #expect(answer.body == body.reversed())
                    return (answer.body[0], answer.body[1])
                }
            }
            for request in await held.first(count).reversed() {
                #expect(!request.isCrowded)
                request.reply(Frame(.answer, request.frame.body.reversed()))
            }
            return try await group.reduce(into: 0) { sum, _ in sum += 1 }
        }
        #expect(answers == count)
    }

    @Test func saysWhenItIsCrowdedAndGoesOnWhenRoomComes() async throws {
        var options = NNGReplier.Options()
        options.requestsMax = 4
        let held = Collector<NNGRequest>()
        let replier = try NNGReplier(options: options) { held.add($0) }
        defer { replier.close() }
        let requester = try NNGRequester(replier.listen(NNGAddress(url: "ipc://" + scratch.file("socket"))).address)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 {
                group.addTask { _ = try await requester.request(Frame(.operation), timeout: .seconds(30)) }
            }
            let four = await held.first(4)
            #expect(four.map(\.isCrowded).contains(true))
            for request in four { request.reply(Frame(.answer)) }
            for request in await held.first(6)[4...] { request.reply(Frame(.answer)) }
            try await group.waitForAll()
        }
    }

    @Test func aRequestThatIsLetGoIsRefused() async throws {
        let replier = try NNGReplier { _ in }
        defer { replier.close() }
        let requester = try NNGRequester(replier.listen(NNGAddress(url: "ipc://" + scratch.file("socket"))).address)
        let answer = try await requester.request(Frame(.operation), timeout: .seconds(20))
        #expect(answer.refusal?.reason == .unavailable)
    }

    @Test func nobodyThereIsSaidWithinTheTimeout() async throws {
        let url = "ipc://" + scratch.file("nobody")
        let requester = try NNGRequester(NNGAddress(url: url))
        let start = ContinuousClock.now
        let error = await failure { () async throws(BrokerError) in
            try await requester.request(Frame(.operation), timeout: .milliseconds(100))
        }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains(url) == true)
        #expect(ContinuousClock.now - start < .seconds(10))
        // A request that never left must not spoil the ones after it (nng 1.5 would).
        let replier = try echo()
        defer { replier.close() }
        try replier.listen(NNGAddress(url: url))
        for _ in 0..<20 {
            #expect(try await requester.request(Frame(.operation, [1]), timeout: .seconds(20)).body == [1])
        }
    }

    @Test func timesOutWhenConnectedAndUnanswered() async throws {
        let held = Collector<NNGRequest>()
        let replier = try NNGReplier { held.add($0) }
        defer { replier.close() }
        let requester = try NNGRequester(replier.listen(NNGAddress(url: "ipc://" + scratch.file("socket"))).address)
        let error = await failure { () async throws(BrokerError) in
            try await requester.request(Frame(.operation, [1]), timeout: .milliseconds(100))
        }
        #expect(error?.code == .timedOut)
        // The late answer goes nowhere, and not to the next request.
        async let second = requester.request(Frame(.operation, [2]), timeout: .seconds(20))
        for request in await held.first(2) { request.reply(Frame(.answer, request.frame.body)) }
        #expect(try await second.body == [2])
    }

    @Test func cancellationEndsTheWait() async throws {
        let held = Collector<NNGRequest>()
        let replier = try NNGReplier { held.add($0) }
        defer { replier.close() }
        let requester = try NNGRequester(replier.listen(NNGAddress(url: "ipc://" + scratch.file("socket"))).address)
        let task = Task {
            await failure { () async throws(BrokerError) in
                try await requester.request(Frame(.operation), timeout: .seconds(60))
            }
        }
        _ = await held.first(1)
        task.cancel()
        #expect(await task.value?.code == .cancelled)
    }

    @Test func aRequestIsNotSentAgainWhenItsBrokerDies() async throws {
        let url = "ipc://" + scratch.file("socket")
        let held = Collector<NNGRequest>()
        let first = try NNGReplier { held.add($0) }
        try first.listen(NNGAddress(url: url))
        let requester = try NNGRequester(NNGAddress(url: url))
        async let lost = failure { () async throws(BrokerError) in
            try await requester.request(Frame(.operation, [1]), timeout: .seconds(60))
        }
        _ = await held.first(1)
        first.close()
        #expect(await lost?.code == .connectionLost)
        let seen = Collector<[UInt8]>()
        let second = try NNGReplier {
            seen.add($0.frame.body)
            $0.reply(Frame(.answer))
        }
        defer { second.close() }
        try second.listen(NNGAddress(url: url))
        _ = try await requester.request(Frame(.operation, [2]), timeout: .seconds(20))
        #expect(await seen.first(1) == [[2]])
    }

    @Test func closingFailsWhatIsPending() async throws {
        let held = Collector<NNGRequest>()
        let replier = try NNGReplier { held.add($0) }
        let requester = try NNGRequester(replier.listen(NNGAddress(url: "ipc://" + scratch.file("socket"))).address)
        async let pending = failure { () async throws(BrokerError) in
            try await requester.request(Frame(.operation), timeout: .seconds(60))
        }
        let request = await held.first(1)[0]
        requester.close()
        #expect(await pending?.code == .closed)
        let later = await failure { () async throws(BrokerError) in
            try await requester.request(Frame(.operation), timeout: .seconds(60))
        }
        #expect(later?.code == .closed)
        replier.close()
        request.reply(Frame(.answer))
    }

    @Test func sizesOverTheLimit() async throws {
        var options = NNGReplier.Options()
        options.messageBytesMax = 1000
        let replier = try echo(options)
        defer { replier.close() }
        let address = try replier.listen(NNGAddress(url: "tcp://127.0.0.1:0")).address
        var small = NNGRequester.Options()
        small.messageBytesMax = 1000
        let careful = try NNGRequester(address, options: small)
        let error = await failure { () async throws(BrokerError) in
            try await careful.request(Frame(.operation, [UInt8](repeating: 0, count: 1001)), timeout: .seconds(5))
        }
        #expect(error?.code == .tooLarge)
        let full = [UInt8](repeating: 7, count: 1000)
        #expect(try await careful.request(Frame(.operation, full), timeout: .seconds(20)).body == full)
        // One that does not ask loses its connection, nobody else theirs.
        let careless = try NNGRequester(address)
        let lost = await failure { () async throws(BrokerError) in
            try await careless.request(Frame(.operation, [UInt8](repeating: 0, count: 5000)), timeout: .seconds(20))
        }
        #expect(lost?.code == .connectionLost)
        #expect(try await careful.request(Frame(.operation, [1]), timeout: .seconds(20)).body == [1])
    }

    @Test func listeningTwiceIsRefused() throws {
        let replier = try echo()
        defer { replier.close() }
        let address = try replier.listen(NNGAddress(url: "tcp://127.0.0.1:0")).address
        let other = try echo()
        defer { other.close() }
        #expect(failure { () throws(BrokerError) in try other.listen(address) }?.code == .addressInUse)
        let bad = NNGAddress(url: "ipc:///nowhere/at/all/socket")
        #expect(
            failure { () throws(BrokerError) in try other.listen(bad) }?.message.contains("/nowhere/at/all/socket")
                == true)
    }

    @Test func peersComeAndGo() async throws {
        let joined = Collector<Int>()
        let left = Collector<NNGPeer>()
        let replier = try NNGReplier(
            onPeer: { event in
                switch event {
                case .joined(_, let listener): joined.add(listener)
                case .left(let peer): left.add(peer)
                }
            }, handler: { $0.reply(Frame(.answer)) })
        defer { replier.close() }
        try replier.listen(NNGAddress(url: "ipc://" + scratch.file("one")))
        try replier.listen(NNGAddress(url: "ipc://" + scratch.file("two")))
        let requester = try NNGRequester(NNGAddress(url: "ipc://" + scratch.file("two")))
        _ = try await requester.request(Frame(.operation), timeout: .seconds(20))
        #expect(await joined.first(1) == [1])
        requester.close()
        #expect(await left.first(1).count == 1)
    }

    @Test func garbageDisturbsNobodyElse() async throws {
        let replier = try echo()
        defer { replier.close() }
        let address = try replier.listen(NNGAddress(url: "tcp://127.0.0.1:0")).address
        let requester = try NNGRequester(address)
        _ = try await requester.request(Frame(.operation, [1]), timeout: .seconds(20))
        let port = String(address.url.split(separator: ":").last!)
        let python = try Python(
            #"""
            import socket, struct, sys, random
            port = int(sys.argv[1])
            def send(*parts, read=True):
                s = socket.create_connection(("127.0.0.1", port)); s.settimeout(10)
                try:
                    for p in parts: s.sendall(p)
                    if read:
                        s.shutdown(socket.SHUT_WR)
                        while s.recv(65536): pass
                except OSError: pass
                s.close()
            hello = b"TRPB\r\n\0\1"
            def frame(body, length=None): return struct.pack(">II", 6 + len(body) if length is None else length, 7) + b"\1\x10" + body
            print("ready", flush=True)
            rng = random.Random(7)
            send(b"GET / HTTP/1.1\r\n\r\n"); send(rng.randbytes(100000)); send(b""); send(b"TRP"); send(b"TRPB\r\n\0\2")
            send(b"\0SP\0\0\x30\0\0")                        # a request socket of nng
            send(hello, frame(b"y" * 70000, 100 << 20))         # a frame of 100 MB
            send(hello, frame(b"", 0xffffffff)); send(hello, frame(b"", 0)); send(hello, frame(b"", 5))
            send(hello, frame(b"z" * 100, 5000))                # cut off
            for _ in range(200): send(hello, rng.randbytes(rng.randrange(200)))
            for _ in range(200): send(hello, *[frame(b"x" * rng.randrange(300))] * rng.randrange(1, 400), read=False)
            print("done", flush=True)
            """#, [port])
        for number in 0..<200 {
            let body = [UInt8(number)]
            #expect(try await requester.request(Frame(.operation, body), timeout: .seconds(20)).body == body)
        }
        #expect(try python.line() == "done")
        #expect(try await requester.request(Frame(.operation, [9]), timeout: .seconds(20)).body == [9])
    }

    /// Connections by the thousand, silent, half greeted or in the midst of a message: who has work goes on, and who comes
    /// is served.
    @Test func thousandsOfStrangersDisturbNobodyElse() async throws {
        let count = Self.strangersMax
        let replier = try echo()
        defer { replier.close() }
        let address = try replier.listen(NNGAddress(url: "tcp://127.0.0.1:0")).address
        let requester = try NNGRequester(address)
        _ = try await requester.request(Frame(.operation, [1]), timeout: .seconds(20))
        let python = try Python(
            #"""
            import socket, struct, sys, resource, signal
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            hello = b"TRPB\r\n\0\1"
            said = [b"", hello[:3], hello, hello + struct.pack(">II", 60 << 20, 7) + b"\1\x10half"]
            open_ones = []
            for number in range(int(sys.argv[2])):
                s = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); s.sendall(said[number % 4])
                open_ones.append(s)
            print("open", flush=True)
            signal.pause()
            """#, [String(address.url.split(separator: ":").last!), "\(count)"])
        for number in 0..<200 {
            let body = [UInt8(number)]
            #expect(try await requester.request(Frame(.operation, body), timeout: .seconds(20)).body == body)
        }
        let late = try NNGRequester(address)
        #expect(try await late.request(Frame(.operation, [7]), timeout: .seconds(20)).body == [7])
        _ = python
    }

    /// As many as this process may have descriptors for, up to two thousand.
    private static var strangersMax: Int {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(min(limit.rlim_max, 2500)) - 500
    }

    /// Everything that can meet in a context at once: answers, late answers, cancellations, time-outs and a broker that
    /// goes and comes back. nng ends the process on a step out of order.
    @Test func survivesCancellationsTimeoutsAndRestartsUnderLoad() async throws {
        let url = "ipc://" + scratch.file("socket")
        let requester = try NNGRequester(NNGAddress(url: url))
        let restarts = Task {
            for _ in 0..<8 {
                let held = Collector<NNGRequest>()
                let replier = try NNGReplier { request in
                    guard request.frame.body[0] % 3 != 0 else { return held.add(request) }
                    request.reply(Frame(.answer, request.frame.body))
                }
                try replier.listen(NNGAddress(url: url))
                for request in await held.first(30) { request.reply(Frame(.answer, request.frame.body)) }
                replier.close()
            }
        }
        let isOver = Flag()
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<32 {
                group.addTask {
                    var round = 0
                    while !isOver.isRaised {
                        round += 1
                        let body = [UInt8(task), UInt8(truncatingIfNeeded: round)]
                        let timeout = Duration.milliseconds((task + round) % 7 == 0 ? 1 : 100)
                        let request = Task { try? await requester.request(Frame(.operation, body), timeout: timeout) }
                        if (task ^ round) % 5 == 0 { request.cancel() }
                        let answer = await request.value
                        #expect(answer == nil || answer == Frame(.answer, body))
                    }
                }
            }
            _ = await restarts.result
            isOver.raise()
        }
        try await restarts.value
        let replier = try echo()
        defer { replier.close() }
        try replier.listen(NNGAddress(url: url))
        // The same requester gets through, too, however it found its connection.
        #expect(
            try await NNGRequester(NNGAddress(url: url)).request(Frame(.operation, [1]), timeout: .seconds(20)).body
                == [1])
        var answer: Frame?
        while answer == nil {
            answer = try? await requester.request(Frame(.operation, [2]), timeout: .seconds(1))
        }
        #expect(answer?.body == [2])
    }

    @Test func aClientThatDiesIsForgotten() async throws {
        let left = Collector<Bool>()
        let replier = try NNGReplier(
            onPeer: { if case .left = $0 { left.add(true) } }, handler: { $0.reply(Frame(.answer)) })
        defer { replier.close() }
        let path = scratch.file("socket")
        try replier.listen(NNGAddress(url: "ipc://" + path))
        let python = try Python(
            #"""
            import socket, sys, time
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
            s.sendall(b"TRPB\r\n\0\1"); s.recv(8)
            print("connected", flush=True)
            time.sleep(1000)
            """#, [path])
        python.killAndReap()
        #expect(await left.first(1) == [true])
        let requester = try NNGRequester(NNGAddress(url: "ipc://" + path))
        _ = try await requester.request(Frame(.operation), timeout: .seconds(20))
    }
}
