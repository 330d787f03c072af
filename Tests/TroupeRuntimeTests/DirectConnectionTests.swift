import Logging
import Synchronization
import Testing
import TroupeCore

@testable import TroupeRuntime

/// Who is let in to a worker's socket, and what happens to those who send what they should not.
@Suite(.timeLimit(.minutes(1)))
struct DirectConnectionTests {
    /// Answers calls with their arguments.
    private struct Echo: DirectHost {
        func take(_ envelope: Envelope, from caller: DirectConnection, mayRunHere: Bool) -> Bool {
            guard envelope.method != "refuse()" else { return false }
            caller.send(.outcome(envelope.id, Outcome(.committed, payload: envelope.arguments)))
            return true
        }
        func cancel(_ call: CallID, of actor: ActorID) {}
        func holds(_ call: CallID, of actor: ActorID) -> Bool { call.text == "held" }
    }

    /// What arrived on a link, one after the other.
    private final class Arrivals: Sendable {
        let frames: AsyncStream<DirectFrame?>
        private let continuation: AsyncStream<DirectFrame?>.Continuation
        init() { (frames, continuation) = AsyncStream.makeStream() }
        func put(_ more: [DirectFrame]) { for frame in more { continuation.yield(frame) } }
        func end() { continuation.yield(nil) }

        /// The next frame; nil when the connection is over.
        func next() async -> DirectFrame? {
            for await frame in frames { return frame }
            return nil
        }
    }

    private let actor: ActorID
    private let listener: DirectListener

    init() throws {
        actor = try ActorID(type: "Echo", name: "e")
        listener = try #require(DirectListener.open(for: Echo(), logger: Logger(label: "test")))
        listener.start()
    }

    private func link(_ address: DirectAddress, _ arrivals: Arrivals) async -> DirectLink? {
        await DirectLink.connect(
            to: WorkerID(unchecked: "w"), at: address, onFrames: { _, frames in arrivals.put(frames) },
            onEnd: { _ in arrivals.end() })
    }

    private func call(_ id: String, _ method: String = "echo(_:)", _ arguments: [UInt8] = [0x81, 1]) -> Envelope {
        Envelope(
            id: CallID(unchecked: id), kind: .request, target: actor, sender: "client", method: method,
            arguments: arguments, sentAt: Timestamp(milliseconds: 1))
    }

    @Test func whoKnowsTheTokenIsAnswered() async throws {
        let arrivals = Arrivals()
        let link = try #require(await self.link(listener.address, arrivals))
        for number in 0..<200 { link.send(.call(call("c-\(number)"))) }
        for number in 0..<200 {
            #expect(
                await arrivals.next()
                    == .outcome(CallID(unchecked: "c-\(number)"), Outcome(.committed, payload: [0x81, 1])))
        }
        link.send(.call(call("no", "refuse()")))
        #expect(await arrivals.next() == .refused(CallID(unchecked: "no")))
        link.send(.probe(CallID(unchecked: "held"), actor))
        #expect(await arrivals.next() == .held(CallID(unchecked: "held")))
        link.close()
        #expect(await arrivals.next() == nil)
        listener.close()
    }

    @Test func largeFramesPassBothWays() async throws {
        let arrivals = Arrivals()
        let link = try #require(await self.link(listener.address, arrivals))
        let large = [UInt8](repeating: 7, count: 1 << 20)
        for number in 0..<8 { link.send(.call(call("c-\(number)", "echo(_:)", large))) }
        for number in 0..<8 {
            #expect(
                await arrivals.next() == .outcome(CallID(unchecked: "c-\(number)"), Outcome(.committed, payload: large))
            )
        }
        listener.close()
        #expect(await arrivals.next() == nil)
    }

    @Test func aWrongTokenIsNotLetIn() async throws {
        var address = listener.address
        address.token[3] ^= 1
        #expect(await self.link(address, Arrivals()) == nil)
        address.token = []
        #expect(await self.link(address, Arrivals()) == nil)
        // Others are not disturbed.
        #expect(await self.link(listener.address, Arrivals()) != nil)
        listener.close()
    }

    @Test func aPathAtWhichNobodyListensIsNoLink() async throws {
        var address = listener.address
        listener.close()
        #expect(await self.link(address, Arrivals()) == nil)
        address.path = "/nowhere/at/all"
        #expect(await self.link(address, Arrivals()) == nil)
        address.path = String(repeating: "x", count: 300)
        #expect(await self.link(address, Arrivals()) == nil)
    }

    @Test(
        arguments: [
            [0, 0, 0, 1, 0xFF], [0, 0, 0, 2, 0x81, 0x05], [0xFF, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0],
            [0, 0, 0, 3, 0x82, 0x01, 0xA0],
        ] as [[UInt8]]) func garbageEndsItsConnectionAndNoOther(_ bytes: [UInt8]) async throws
    {
        let other = Arrivals()
        let link = try #require(await self.link(listener.address, other))
        for isKnown in [false, true] {
            let socket = try #require(DirectSocket.connect(to: listener.address.path))
            var sent: [UInt8] = []
            if isKnown {
                DirectFrame.hello(version: DirectFrame.version, token: listener.address.token).write(to: &sent)
            }
            sent += bytes
            #expect(socket.send(sent[...]) == sent.count)
            // Up to the end of the connection, in a thread of its own since it waits.
            let received: [UInt8] = await withCheckedContinuation { continuation in
                startThread(name: "test") {
                    var all: [UInt8] = []
                    withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) { buffer in
                        while let count = socket.receive(into: buffer) { all += buffer[..<count] }
                    }
                    continuation.resume(returning: all)
                }
            }
            // It came together with the greeting, and none of it was taken.
            #expect(received == [])
        }
        link.send(.call(call("c")))
        #expect(await other.next() == .outcome(CallID(unchecked: "c"), Outcome(.committed, payload: [0x81, 1])))
        listener.close()
    }

    @Test func framesAreReadAsTheyWereWritten() throws {
        let id = CallID(unchecked: "c-1")
        let frames: [DirectFrame] = [
            .hello(version: 1, token: [1, 2]), .call(call("c-2")), .cancel(id, actor), .probe(id, actor), .welcome,
            .outcome(id, Outcome(.failed, payload: [9])), .refused(id), .held(id), .decided(id),
            .seen(shard: 3, ShardMoment(stretch: [1, 2], progress: [3])),
        ]
        var bytes: [UInt8] = []
        for frame in frames { frame.write(to: &bytes) }
        for piece in [1, 2, 7, bytes.count] {
            var reader = DirectFrameReader(sizeBytesMax: 1000)
            var read: [DirectFrame] = []
            for start in stride(from: 0, to: bytes.count, by: piece) {
                reader.append(bytes[start..<min(start + piece, bytes.count)])
                while let frame = try reader.next() { read.append(frame) }
            }
            #expect(read == frames)
        }
    }

    @Test func theTokenIsNotInTexts() {
        let address = DirectAddress(path: "/tmp/s", token: [211, 212, 213])
        for text in ["\(address)", String(reflecting: address), "\([address])"] { #expect(!text.contains("211")) }
    }
}
