import Testing
import TroupeTesting

@testable import TroupeRedis

/// Long strings, which go past the parser.
@Suite struct LongStringTests {
    private static let long = LongString.missingSizeBytesMin

    private static func reply(_ string: [UInt8], lineEnd: String = "\r\n") -> [UInt8] {
        Array("$\(string.count)\r\n".utf8) + string + Array(lineEnd.utf8)
    }

    /// Gives a reader the bytes in pieces of these sizes, and then the rest in pieces of the last one.
    private static func replies(
        to stream: [UInt8], inPiecesOf sizes: [Int], sizeBytesMax: Int = 1 << 20
    ) throws -> [RedisReply] {
        var reader = ReplyReader(sizeBytesMax: sizeBytesMax, elementCountMax: 100)
        var replies: [RedisReply] = []
        var rest = stream[...]
        var sizes = sizes[...]
        while !rest.isEmpty {
            let size = sizes.count > 1 ? sizes.removeFirst() : sizes[sizes.startIndex]
            let (_, isFull) = try reader.fill { room in
                let piece = rest.prefix(min(size, room.count))
                room.copyBytes(from: piece)
                rest.removeFirst(piece.count)
                return .moved(piece.count)
            }
            _ = isFull
            try reader.drain(into: &replies)
        }
        return replies
    }

    @Test func whereverItsHeadIsDivided() throws {
        let string = objectBytes(3 * Self.long)
        let stream = Array("+OK\r\n".utf8) + Self.reply(string) + Array(":5\r\n".utf8)
        for first in 1...20 {
            let replies = try Self.replies(to: stream, inPiecesOf: [first, 4096])
            #expect(replies == [.status("OK"), .bytes(string), .integer(5)], "first piece of \(first) bytes")
        }
    }

    @Test func whereverItsLineEndIsDivided() throws {
        let string = objectBytes(2 * Self.long)
        let stream = Self.reply(string) + Array("+OK\r\n".utf8)
        let head = stream.count - string.count - 7
        for cut in -2...4 {
            let replies = try Self.replies(to: stream, inPiecesOf: [head + 10, string.count - 10 + cut, 3])
            #expect(replies == [.bytes(string), .status("OK")], "cut \(cut) bytes behind its end")
        }
    }

    @Test func sizesAroundWhatIsLong() throws {
        for size in [0, 1, Self.long - 20, Self.long - 1, Self.long, Self.long + 1, Self.long + 4096, (1 << 20) - 100] {
            let string = objectBytes(size)
            let replies = try Self.replies(to: Self.reply(string) + Self.reply(string), inPiecesOf: [4096])
            #expect(replies == [.bytes(string), .bytes(string)], "\(size) bytes")
        }
    }

    @Test func stringsInsideOfArraysAreTheParsers() throws {
        let string = objectBytes(2 * Self.long)
        let stream = Array("*2\r\n".utf8) + Self.reply(string) + Self.reply(string) + Self.reply(string)
        let replies = try Self.replies(to: stream, inPiecesOf: [16_384])
        #expect(replies == [.array([.bytes(string), .bytes(string)]), .bytes(string)])
    }

    @Test func aStringThatDoesNotEndWhereItShouldIsMalformed() {
        let stream = Self.reply(objectBytes(2 * Self.long), lineEnd: "xx")
        #expect { _ = try Self.replies(to: stream, inPiecesOf: [4096]) } throws: { error in
            if case .malformed? = error as? ReplyReader.Failure { true } else { false }
        }
    }

    @Test func aStringOverTheBoundIsRefusedByItsHead() {
        for head in ["$1048577\r\n", "$99999999999999999999999\r\n"] {
            #expect { _ = try Self.replies(to: Array("\(head)abc".utf8) + [1], inPiecesOf: [11, 1]) } throws: { error in
                if case .tooLarge? = error as? ReplyReader.Failure { true } else { false }
            }
        }
    }

    @Test func repliesOfAServerStayInStep() async throws {
        let server = try await RedisServer.start()
        let configuration = try RedisConfiguration(url: server.url, environment: { _ in nil })
        let connection = try await RedisConnection.connect(configuration)
        let sizes = [10, Self.long, 5 << 20, 0, 300_000]
        for size in sizes { _ = try await connection.command(["SET", .integer(size), .bytes(objectBytes(size))]) }
        let pending = sizes.map { size in
            (size, connection.submit(["GET", .integer(size)]), connection.submit(["STRLEN", .integer(size)]))
        }
        for (size, string, length) in pending {
            #expect(try await string.value() == .bytes(objectBytes(size)))
            #expect(try await length.value() == .integer(size))
        }
    }
}
