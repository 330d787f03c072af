import Testing

@testable import TroupeRedis

@Suite struct OutputBufferTests {
    private func drained(_ buffer: inout OutputBuffer, by size: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while !buffer.isEmpty {
            buffer.drain { chunk, _ in
                bytes += chunk.prefix(size)
                return min(size, chunk.count)
            }
        }
        return bytes
    }

    @Test(arguments: [1, 7, 4096, 1 << 20])
    func writesCommandsWhateverTheSocketTakes(size: Int) {
        var buffer = OutputBuffer()
        let large = [UInt8](repeating: 9, count: OutputBuffer.referencedSizeBytesMin)
        buffer.append(command: ["SET", .string("kä"), .integer(-120), .integer(0), .integer(.max), .integer(.min)])
        buffer.append(command: ["X", .bytes(large), .slice([1, 2, 3][1...])])
        var expected = Array(
            "*6\r\n$3\r\nSET\r\n$3\r\nkä\r\n$4\r\n-120\r\n$1\r\n0\r\n$19\r\n9223372036854775807\r\n".utf8)
        expected += Array("$20\r\n-9223372036854775808\r\n*3\r\n$1\r\nX\r\n$16384\r\n".utf8)
        expected += large + Array("\r\n$2\r\n".utf8) + [2, 3] + Array("\r\n".utf8)
        #expect(buffer.count == expected.count)
        #expect(drained(&buffer, by: size) == expected)
        #expect(buffer.count == 0)
    }
}

@Suite struct TimerQueueTests {
    @Test func ringsInOrderAndForgetsTheCancelled() {
        var queue = TimerQueue()
        var generator = SystemRandomNumberGenerator()
        var ids: [UInt64] = []
        for moment in (UInt64(1)...500).shuffled(using: &generator) { ids.append(queue.add(at: moment, {}).id) }
        for id in ids.prefix(400) { _ = queue.cancel(id) }
        var last: UInt64 = 0
        var count = 0
        while let next = queue.next {
            #expect(next >= last)
            last = next
            count += queue.takeDue(now: next).count
        }
        #expect(count == 100)
    }
}

@Suite struct ReplyReaderTests {
    private func parse(
        _ text: String, by size: Int, sizeBytesMax: Int = 1 << 20, elementCountMax: Int = 1000
    ) throws -> [RedisReply] {
        var reader = ReplyReader(sizeBytesMax: sizeBytesMax, elementCountMax: elementCountMax)
        var rest = Array(text.utf8)[...]
        var replies: [RedisReply] = []
        while !rest.isEmpty {
            _ = try reader.fill { room in
                let part = rest.prefix(min(size, room.count))
                room.copyBytes(from: part)
                rest.removeFirst(part.count)
                return .moved(part.count)
            }
            try reader.drain(into: &replies)
        }
        return replies
    }

    @Test(arguments: [1, 2, 5, 1000])
    func readsAllKindsHoweverTheyArrive(size: Int) throws {
        let replies = try parse(
            "+OK\r\n-ERR no\r\n:-42\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*0\r\n*3\r\n*2\r\n:1\r\n*0\r\n$0\r\n\r\n*1\r\n$-1\r\n:7\r\n",
            by: size)
        #expect(
            replies == [
                .status("OK"), .error("ERR no"), .integer(-42), .bytes(Array("a\r\n".utf8)), .null, .null, .array([]),
                .array([.array([.integer(1), .array([])]), .bytes([]), .array([.null])]), .integer(7),
            ])
    }

    @Test func refusesWhatIsTooLargeTooDeepOrNotAReply() {
        #expect(throws: ReplyReader.Failure.self) { try parse("HTTP/1.1 400 Bad Request\r\n\r\n", by: 100) }
        #expect(throws: ReplyReader.Failure.self) { try parse("$2000000\r\nabcdefgh", by: 5) }
        #expect(throws: ReplyReader.Failure.self) { try parse("$9223372036854775807\r\nabcdefgh", by: 5) }
        #expect(throws: ReplyReader.Failure.self) { try parse("*2000000000\r\n", by: 100) }
        #expect(throws: ReplyReader.Failure.self) { try parse(String(repeating: "*500\r\n", count: 3), by: 7) }
        #expect(throws: ReplyReader.Failure.self) { try parse(String(repeating: "*1\r\n", count: 100), by: 100) }
    }
}
