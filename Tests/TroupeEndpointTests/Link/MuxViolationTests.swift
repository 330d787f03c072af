import NIOCore
import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Violations of the link's protocol")
struct MuxViolationTests {
    struct Violation: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var bytes: ByteBuffer
        /// A part of what the error says.
        var says: String
    }

    static func frames(_ frames: MuxFrame...) -> ByteBuffer {
        var buffer = ByteBuffer()
        for frame in frames { frame.write(to: &buffer) }
        return buffer
    }

    static func then(_ first: ByteBuffer, _ second: ByteBuffer) -> ByteBuffer {
        var both = first
        both.writeImmutableBuffer(second)
        return both
    }

    static let violations: [Violation] = [
        Violation(testDescription: "unknown kind", bytes: LinkFrames.raw(99, 1, 0), says: "kind 99"),
        Violation(testDescription: "kind 0", bytes: LinkFrames.raw(0, 0, 0), says: "kind 0"),
        Violation(testDescription: "a frame of 100 MB", bytes: LinkFrames.raw(2, 1, 100_000_000), says: "100000000"),
        Violation(testDescription: "a frame of 4 GB", bytes: LinkFrames.raw(2, 1, .max), says: "4294967295"),
        Violation(testDescription: "data one byte too large", bytes: LinkFrames.raw(2, 1, 65_537), says: "65537"),
        Violation(testDescription: "empty data", bytes: LinkFrames.raw(2, 1, 0), says: "payload of 0"),
        Violation(testDescription: "a reason too long", bytes: LinkFrames.raw(8, 0, 1025), says: "1025"),
        Violation(testDescription: "a long ping", bytes: LinkFrames.raw(6, 0, 9), says: "payload of 9"),
        Violation(testDescription: "data of the connection", bytes: LinkFrames.raw(2, 0, 1, [1]), says: "stream 0"),
        Violation(testDescription: "an open of the connection", bytes: LinkFrames.raw(1, 0, 1, [0]), says: "stream 0"),
        Violation(
            testDescription: "a ping of a stream", bytes: LinkFrames.raw(6, 1, 8, [UInt8](repeating: 0, count: 8)),
            says: "stream 1"),
        Violation(testDescription: "an end of a stream", bytes: LinkFrames.raw(8, 1, 0), says: "stream 1"),
        Violation(testDescription: "our number", bytes: frames(.open(stream: 2, .bulk)), says: "stream 2"),
        Violation(
            testDescription: "an old number", bytes: frames(.open(stream: 5, .bulk), .open(stream: 3, .bulk)),
            says: "stream 3"),
        Violation(
            testDescription: "a number twice", bytes: frames(.open(stream: 5, .bulk), .open(stream: 5, .bulk)),
            says: "stream 5"),
        Violation(testDescription: "unknown urgency", bytes: LinkFrames.raw(1, 1, 1, [7]), says: "urgency 7"),
        Violation(
            testDescription: "unknown reason",
            bytes: then(frames(.open(stream: 1, .bulk)), LinkFrames.raw(5, 1, 1, [9])),
            says: "reason 9"),
        Violation(testDescription: "data of no stream", bytes: LinkFrames.raw(2, 1, 1, [1]), says: "nobody has opened"),
        Violation(
            testDescription: "data of a stream of ours that is not", bytes: LinkFrames.raw(2, 2, 1, [1]),
            says: "nobody has opened"),
        Violation(testDescription: "an end of no stream", bytes: frames(.finish(stream: 9)), says: "nobody has opened"),
        Violation(
            testDescription: "a reset of no stream", bytes: frames(.reset(stream: 9, .givenUp)),
            says: "nobody has opened"),
        Violation(
            testDescription: "a window of no stream", bytes: frames(.windowUpdate(stream: 9, 1)),
            says: "nobody has opened"),
        Violation(
            testDescription: "data after the end",
            bytes: then(frames(.open(stream: 1, .bulk), .finish(stream: 1)), LinkFrames.raw(2, 1, 1, [1])),
            says: "after the end"),
        Violation(
            testDescription: "a second end",
            bytes: frames(.open(stream: 1, .bulk), .finish(stream: 1), .finish(stream: 1)), says: "second end"),
        Violation(
            testDescription: "data beyond the window",
            bytes: then(
                frames(.open(stream: 1, .bulk)),
                then(
                    LinkFrames.raw(2, 1, 1000, [UInt8](repeating: 1, count: 1000)), LinkFrames.raw(2, 1, 1, [1]))),
            says: "beyond the window"),
        Violation(
            testDescription: "a window of nothing", bytes: frames(.open(stream: 1, .bulk), .windowUpdate(stream: 1, 0)),
            says: "of nothing"),
        Violation(
            testDescription: "too large a window",
            bytes: frames(.open(stream: 1, .bulk), .windowUpdate(stream: 1, 1 << 30)), says: "a window of more"),
        Violation(testDescription: "an answer to nothing", bytes: frames(.pong(5)), says: "not asked"),
    ]

    @Test("ends the connection, with a reason for both sides", arguments: violations)
    func violation(_ violation: Violation) throws {
        var options = MuxOptions()
        options.bulkWindowBytes = 1000
        let side = LinkSide.greeted(.server, options)
        side.receive(violation.bytes)
        let failure = try #require(side.failure)
        #expect(failure.code == .protocolViolation)
        #expect(failure.message.contains(violation.says), "\(failure.message)")
        #expect(failure.message.contains("the peer"))
        #expect(side.events.last == .ended(failure))
        guard case .goAway(let reason)? = LinkFrames.frames(side.output()).last else {
            Issue.record("the other side was not told")
            return
        }
        #expect(reason.contains(violation.says))
        // Whatever follows is not looked at.
        side.receive(LinkFrames.raw(99, 99, 99))
        #expect(side.failure == failure)
        #expect(!side.hasOutput)
    }

    @Test("first words of something else, or of another version, are refused by either side")
    func greeting() throws {
        for role in [MuxMachine.Role.client, .server] {
            for (change, says) in [(0, "first words"), (6, "version"), (7, "version")] {
                var greeting = ByteBuffer()
                MuxPreface(MuxOptions()).write(to: &greeting)
                greeting.setInteger(UInt8(0xEE), at: change)
                let side = LinkSide(role)
                side.receive(greeting)
                let failure = try #require(side.failure)
                #expect(failure.code == .protocolViolation)
                #expect(failure.message.contains(says))
                // What is said at the end still follows the first words.
                #expect(LinkFrames.items(side.output(), isGreeting: true).count == 2)
            }
        }
    }

    @Test("first words with impossible bounds are refused")
    func bounds() throws {
        for place in 0..<3 {
            for value in [UInt32(0), .max] {
                var greeting = ByteBuffer()
                MuxPreface(MuxOptions()).write(to: &greeting)
                greeting.setInteger(value, at: 8 + 4 * place)
                let side = LinkSide(.server)
                side.receive(greeting)
                #expect(try #require(side.failure).code == .protocolViolation)
            }
        }
    }

    @Test("frames for streams that are over are passed by, as they may have been under way")
    func lateFrames() {
        let side = LinkSide.greeted(.server)
        side.receive(.open(stream: 1, .bulk))
        #expect(side.machine.accept() == .stream(1, .bulk))
        side.machine.release(1)
        side.receiveData([1, 2, 3], on: 1)
        side.receive(.windowUpdate(stream: 1, 5), .finish(stream: 1), .reset(stream: 1, .givenUp))
        #expect(side.failure == nil)
        #expect(side.streamCount == 0)
    }

    @Test("a machine lives through changed bytes", arguments: 0..<400)
    func mutated(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var options = MuxOptions()
        options.bulkWindowBytes = 500
        options.urgentWindowBytes = 300
        options.streamsMax = 4
        options.receivedBytesMax = 2000
        options.controlFramesMax = 16
        let side = LinkSide.greeted(.server, options)
        for _ in 0..<200 where side.failure == nil {
            var bytes = MuxMutation.frame(&random)
            if Int.random(in: 0..<20, using: &random) == 0 {
                let place = Int.random(in: 0..<bytes.readableBytes, using: &random)
                bytes.setInteger(UInt8.random(in: 0...255, using: &random), at: place)
            }
            side.receive(bytes)
            if case .stream(let id, _) = side.machine.accept(), Bool.random(using: &random) {
                _ = side.read(id, atMost: 100)
                if Bool.random(using: &random) { side.machine.release(id) }
            }
            #expect(side.machine.receivedBytes <= options.receivedBytesMax)
            #expect(side.machine.peerOpenCount <= options.streamsMax)
            #expect(side.machine.outgoing.resets.count <= options.controlFramesMax + options.streamsMax)
            #expect(side.machine.outgoing.linesCount <= 3 * side.machine.streams.count + 65)
        }
        if let failure = side.failure {
            #expect([.protocolViolation, .limitExceeded, .unreachable].contains(failure.code))
        }
    }
}

/// Frames of which most make sense for a server with few streams.
enum MuxMutation {
    static func frame(_ random: inout SplitMix64) -> ByteBuffer {
        var bytes = ByteBuffer()
        let stream = UInt32.random(in: 0...20, using: &random) * 2 + 1
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1, 2: MuxFrame.open(stream: stream, Bool.random(using: &random) ? .bulk : .urgent).write(to: &bytes)
        case 3, 4, 5, 6:
            let data = random.bytes(Int.random(in: 1...300, using: &random))
            MuxFrameHead(kind: .data, stream: stream, payloadSizeBytes: data.count).write(to: &bytes)
            bytes.writeBytes(data)
        case 7: MuxFrame.finish(stream: stream).write(to: &bytes)
        case 8: MuxFrame.reset(stream: stream, .givenUp).write(to: &bytes)
        default: MuxFrame.ping(UInt64(stream)).write(to: &bytes)
        }
        return bytes
    }
}
