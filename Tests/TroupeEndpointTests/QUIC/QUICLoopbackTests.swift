import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("QUIC over ICE, on loopback")
struct QUICLoopbackTests {
    @Test("each side knows the other by its key, and how it is reached", .timeLimit(.minutes(1)))
    func identity() async throws {
        let (nearKey, farKey) = (EndpointKey(), EndpointKey())
        let pair = try await PunchedPair.make(nearKey, farKey)
        #expect(pair.near.peer == farKey.id)
        #expect(pair.far.peer == nearKey.id)
        #expect(pair.near.path.kind == .holePunched)
        #expect(pair.near.path.detail.contains("host 127.0.0.1:"))
        #expect(try #require(pair.near.roundTrip) > .zero)
        await pair.close()
    }

    @Test("bytes arrive in both directions, and each direction ends by itself", .timeLimit(.minutes(1)))
    func halfClose() async throws {
        let pair = try await PunchedPair.make()
        let (near, far) = try await pair.stream()
        let bytes = pattern(3_000_000)
        async let written: Void = {
            try await near.write(bytes)
            try await near.finish()
        }()
        #expect(try await far.readAll() == bytes)
        try await written
        try await far.write([1, 2, 3])
        #expect(try await near.readExactly(3) == [1, 2, 3])
        try await far.finish()
        #expect(try await near.read(atMost: 10) == nil)
        await pair.close()
    }

    @Test("the side that did not dial can open streams too, and urgency travels", .timeLimit(.minutes(1)))
    func bothOpen() async throws {
        let pair = try await PunchedPair.make()
        for urgency in StreamUrgency.allCases {
            let opened = try await pair.far.openStream(urgency)
            let got = try #require(await pair.near.nextStream() as? QUICStream)
            #expect(got.urgency == urgency)
            try await got.write([7])
            #expect(try await opened.read(atMost: 1) == [7])
        }
        await pair.close()
    }

    @Test("a thousand streams at once carry what was written to each", .timeLimit(.minutes(2)))
    func manyStreams() async throws {
        let pair = try await PunchedPair.make()
        let count = 1_000
        try await withThrowingTaskGroup { group in
            group.addTask {
                try await withThrowingTaskGroup { echoes in
                    for _ in 0..<count {
                        guard let stream = await pair.far.nextStream() else { break }
                        echoes.addTask {
                            try await stream.write(try await stream.readAll())
                            try await stream.finish()
                        }
                    }
                    try await echoes.waitForAll()
                }
            }
            for number in 0..<count {
                group.addTask {
                    let stream = try await pair.near.openStream(number.isMultiple(of: 2) ? .urgent : .bulk)
                    let bytes = pattern(1 + number * 7, seed: number)
                    try await stream.write(bytes)
                    try await stream.finish()
                    #expect(try await stream.readAll() == bytes)
                }
            }
            try await group.waitForAll()
        }
        await pair.close()
    }

    @Test("more streams than may be open wait for others to end", .timeLimit(.minutes(1)))
    func streamLimit() async throws {
        var options = QUICOptions()
        options.streamsMax = 4
        let pair = try await PunchedPair.make(quic: options)
        try await withThrowingTaskGroup { group in
            group.addTask {
                for _ in 0..<40 {
                    let stream = try #require(await pair.far.nextStream())
                    try await stream.write(try await stream.readAll())
                    try await stream.finish()
                }
            }
            for number in 0..<40 {
                group.addTask {
                    let stream = try await pair.near.openStream(.bulk)
                    try await stream.write([UInt8(number)])
                    try await stream.finish()
                    #expect(try await stream.readAll() == [UInt8(number)])
                }
            }
            try await group.waitForAll()
        }
        await pair.close()
    }

    @Test("a writer waits for a reader, and no other stream does", .timeLimit(.minutes(1)))
    func backPressure() async throws {
        var options = QUICOptions()
        options.streamBufferSizeBytesMax = 256 << 10
        options.streamWindowSizeBytes = 64 << 10
        options.streamWindowSizeBytesMax = 128 << 10
        let pair = try await PunchedPair.make(quic: options)
        let (slow, unread) = try await pair.stream()
        let bytes = pattern(4 << 20)
        let writing = Task { try await slow.write(bytes) }
        let (quick, answered) = try await pair.stream(.urgent)
        // As long as the other stream answers, the connection lives; and the bulk one can have sent no more than its bounds.
        for number in 0..<200 {
            try await quick.write([UInt8(number)])
            try await answered.write(try #require(try await answered.read(atMost: 1)))
            #expect(try await quick.read(atMost: 1) == [UInt8(number)])
        }
        #expect(await pair.far.driver.held(in: unread) <= 128 << 10)
        #expect(await pair.near.driver.isWaiting(in: slow))
        #expect(try await unread.readExactly(bytes.count) == bytes)
        try await writing.value
        await pair.close()
    }

    @Test("a stream that is given up fails at the other side, and the others go on", .timeLimit(.minutes(1)))
    func reset() async throws {
        let pair = try await PunchedPair.make()
        let (near, far) = try await pair.stream()
        try await near.write([1])
        #expect(try await far.read(atMost: 1) == [1])
        near.reset()
        await #expect(throws: EndpointError.self) { try await far.read(atMost: 1) }
        try await eventually("its writes fail too") {
            do throws(EndpointError) {
                try await far.write([1])
                return false
            } catch {
                return error.code == .closed
            }
        }
        let (other, otherFar) = try await pair.stream()
        try await other.write([2])
        #expect(try await otherFar.read(atMost: 1) == [2])
        await pair.close()
    }

    @Test("the end of a connection ends what waits on it, at both sides", .timeLimit(.minutes(1)))
    func close() async throws {
        let pair = try await PunchedPair.make()
        let (near, far) = try await pair.stream()
        let nearRead = Task { try await near.read(atMost: 1) }
        let farRead = Task { try await far.read(atMost: 1) }
        async let next = pair.far.nextStream()
        try await eventually("both readers wait") {
            let isNearWaiting = await pair.near.driver.isReading(near)
            return await pair.far.driver.isReading(far) && isNearWaiting
        }
        await pair.near.close()
        await #expect(throws: EndpointError(.closed, "closed by this side")) { try await nearRead.value }
        await #expect(throws: EndpointError.self) { try await farRead.value }
        #expect(await next == nil)
        await #expect(throws: EndpointError.self) { try await pair.far.openStream(.urgent) }
        await pair.far.close()
    }

    @Test("a cancelled reader is woken, and the stream stays usable", .timeLimit(.minutes(1)))
    func cancellation() async throws {
        let pair = try await PunchedPair.make()
        let (near, far) = try await pair.stream()
        let reading = Task { try await far.read(atMost: 1) }
        try await eventually("it waits") { await pair.far.driver.isReading(far) }
        reading.cancel()
        await #expect(throws: EndpointError.self) { try await reading.value }
        try await near.write([3])
        #expect(try await far.read(atMost: 1) == [3])
        await pair.close()
    }
}
