import NIOCore
import Synchronization
import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("A link over real sockets", .timeLimit(.minutes(2)))
struct LinkSocketTests {
    @Test("bytes go there and back, and both sides know whom they speak to")
    func roundTrip() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        #expect(client.peer == fixture.serverKey.id)
        #expect(server.peer == fixture.clientKey.id)
        #expect(client.path.kind == .directTLS)
        #expect(client.path.detail.hasSuffix("to \(fixture.address)"))
        #expect(server.path.detail.hasPrefix("\(fixture.address) to"))
        async let echoing: Void = server.echo()
        for size in [1, 100, 16_375, 16_376, 300_000] {
            var random = SplitMix64(seed: UInt64(size))
            let bytes = random.bytes(size)
            #expect(try await client.roundTrip(bytes) == bytes)
            #expect(try await client.roundTrip(bytes, .bulk) == bytes)
        }
        #expect(client.streamCount == 0)
        #expect(client.idleSince != nil)
        #expect(client.roundTrip != nil)
        await client.close()
        await echoing
        #expect(client.failure?.code == .closed)
        #expect(server.failure?.code == .unreachable)
        #expect(client.idleSince == nil)
    }

    @Test("a thousand streams at once, opened by both sides")
    func manyStreams() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        async let atServer: Void = server.echo()
        async let atClient: Void = client.echo()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<1000 {
                group.addTask {
                    let side = number.isMultiple(of: 2) ? client : server
                    var random = SplitMix64(seed: UInt64(number))
                    let bytes = random.bytes(number * 7)
                    let stream = try await side.openStream(number.isMultiple(of: 3) ? .urgent : .bulk)
                    try await stream.write(bytes)
                    try await stream.finish()
                    #expect(try await stream.readAll() == bytes)
                }
            }
            try await group.waitForAll()
        }
        await server.close()
        _ = await (atServer, atClient)
    }

    @Test("64 MiB in both directions at once arrive as they were sent")
    func large() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        let up = try await client.openStream(.bulk)
        let down = try #require(await server.nextStream())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (stream, seed) in [(up, 1), (down, 2)] {
                group.addTask { try await LargeTransfer.send(on: stream, seed: seed) }
                group.addTask { try await LargeTransfer.check(on: stream, seed: 3 - seed) }
            }
            try await group.waitForAll()
        }
        await client.close()
    }

    @Test("a stream whose reader is slow holds up no other")
    func slowReader() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        let slow = try await client.openStream(.bulk)
        let unread = try #require(await server.nextStream())
        let block = [UInt8](repeating: 7, count: 1 << 16)
        let writing = Task {
            for _ in 0..<256 { try await slow.write(block) }
            try await slow.finish()
        }
        async let echoing: Void = server.echo()
        for number in 0..<50 {
            let bytes = [UInt8](repeating: UInt8(number), count: 70_000)
            #expect(try await client.roundTrip(bytes, number.isMultiple(of: 2) ? .urgent : .bulk) == bytes)
        }
        // Nobody has read from it, so what is under way is bounded by its window and its buffer.
        #expect(server.state.withLock { $0.machine.receivedBytes } <= MuxOptions().bulkWindowBytes)
        #expect(try await unread.readAll().count == 256 << 16)
        try await writing.value
        await client.close()
        await echoing
    }

    @Test("one direction ends while the other goes on")
    func halfClose() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        let asking = try await client.openStream(.urgent)
        try await asking.write([1, 2])
        try await asking.finish()
        let asked = try #require(await server.nextStream())
        #expect(try await asked.readAll() == [1, 2])
        try await asked.write([3])
        #expect(try await asking.read(atMost: 10) == [3])
        try await asked.write([4])
        try await asked.finish()
        #expect(try await asking.readAll() == [4])
        #expect(try await asking.read(atMost: 1) == nil)
        await expectLinkError(.closed, "finished") { try await asking.write([5]) }
        await client.close()
    }

    @Test("a reset fails what the other side waits for")
    func reset() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        let stream = try await client.openStream(.bulk)
        let other = try #require(await server.nextStream())
        let reading = Task { try await other.read(atMost: 1) }
        let writing = Task { while true { try await other.write([UInt8](repeating: 0, count: 1 << 16)) } }
        _ = try await stream.read(atMost: 1)
        stream.reset()
        await expectLinkError(.closed, "given up") { _ = try await reading.value }
        await expectLinkError(.closed, "given up") { try await writing.value }
        await expectLinkError(.closed, "given up by this side") { _ = try await stream.read(atMost: 1) }
        // The connection is as good as before.
        async let echoing: Void = server.echo()
        #expect(try await client.roundTrip([9]) == [9])
        await client.close()
        await echoing
    }

    @Test("streams beyond what the other side allows are refused here, and room comes back")
    func streamsMax() async throws {
        var options = DirectListener.Options()
        options.mux.streamsMax = 3
        let fixture = try await LinkFixture(options)
        let (client, server) = try await fixture.pair()
        async let echoing: Void = server.echo()
        var open: [any PeerStream] = []
        for _ in 0..<3 { open.append(try await client.openStream(.urgent)) }
        await expectLinkError(.limitExceeded, "3 streams") { _ = try await client.openStream(.urgent) }
        try await open[0].finish()
        #expect(try await open[0].readAll() == [])
        #expect(try await client.roundTrip([1]) == [1])
        await client.close()
        await echoing
    }

    @Test("a task that is cancelled stops to wait, and its stream can be used by others")
    func cancellation() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        let stream = try await client.openStream(.urgent)
        let other = try #require(await server.nextStream())
        let reading = Task { try await stream.read(atMost: 1) }
        let accepting = Task { await client.nextStream() == nil }
        reading.cancel()
        accepting.cancel()
        await expectLinkError(.closed, "cancelled") { _ = try await reading.value }
        #expect(await accepting.value)
        let writing = Task {
            var count = 0
            do { while true { try await stream.write([UInt8](repeating: 1, count: 1000)); count += 1000 } } catch {
                return count
            }
        }
        // A write that was cancelled has written nothing, so what arrives is what was counted.
        _ = try await other.readAll(upTo: 1000)
        writing.cancel()
        let count = await writing.value
        try await stream.finish()
        #expect(try await other.readAll().count == count - 1000)
        await client.close()
    }

    @Test("closing wakes everybody who waits, on both sides")
    func closing() async throws {
        let fixture = try await LinkFixture()
        let (client, server) = try await fixture.pair()
        let stream = try await client.openStream(.bulk)
        let other = try #require(await server.nextStream())
        try await other.write([1])
        let waiting = [stream, other].map { stream in
            Task { while try await stream.read(atMost: 100) != nil {} }
        }
        let accepting = [client, server].map { side in Task { await side.nextStream() == nil } }
        let writing = Task { while true { try await stream.write([UInt8](repeating: 1, count: 1 << 16)) } }
        await client.close(saying: "the endpoint stops")
        await expectLinkError(.closed) { try await waiting[0].value }
        await expectLinkError(.closed) { try await writing.value }
        await expectLinkError(.unreachable, "the endpoint stops") { try await waiting[1].value }
        for task in accepting { #expect(await task.value) }
        await expectLinkError(.closed) { _ = try await client.openStream(.urgent) }
        await expectLinkError(.unreachable, server.peer.short) { _ = try await server.openStream(.urgent) }
    }
}

/// Many blocks that are all different, sent and compared.
private enum LargeTransfer {
    static let blockCount = 1024
    static let blockSize = 1 << 16

    private static func block(_ seed: Int, _ number: Int, of base: [UInt8]) -> [UInt8] {
        var block = base
        for place in 0..<8 { block[place * 8000] ^= UInt8(truncatingIfNeeded: (number * 31 + seed) >> place) }
        return block
    }

    private static func base(_ seed: Int) -> [UInt8] {
        var random = SplitMix64(seed: UInt64(seed))
        return random.bytes(blockSize)
    }

    static func send(on stream: any PeerStream, seed: Int) async throws {
        let base = base(seed)
        for number in 0..<blockCount { try await stream.write(block(seed, number, of: base)) }
        try await stream.finish()
    }

    static func check(on stream: any PeerStream, seed: Int) async throws {
        let base = base(seed)
        for number in 0..<blockCount {
            #expect(try await stream.readAll(upTo: blockSize) == block(seed, number, of: base))
        }
        #expect(try await stream.read(atMost: 1) == nil)
    }
}
