import NIOCore
import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("The link's frames")
struct MuxFrameTests {
    static let frames: [MuxFrame] = [
        .open(stream: 1, .urgent), .open(stream: 4_294_967_295, .bulk), .windowUpdate(stream: 2, 1 << 20),
        .finish(stream: 3), .reset(stream: 4, .givenUp), .reset(stream: 5, .limit), .ping(0), .pong(.max),
        .goAway(""), .goAway("the endpoint stops"),
    ]

    @Test("every frame comes back, however its bytes are cut", arguments: [1, 2, 7, 8, 9, 10, 1000])
    func roundTrip(pieceSize: Int) throws {
        var bytes = ByteBuffer()
        MuxPreface(MuxOptions()).write(to: &bytes)
        for frame in Self.frames { frame.write(to: &bytes) }
        var parser = MuxParser()
        var items: [MuxParser.Item] = []
        while bytes.readableBytes > 0 {
            guard var piece = bytes.readSlice(length: min(pieceSize, bytes.readableBytes)) else { break }
            while let item = try parser.next(from: &piece) { items.append(item) }
        }
        #expect(items == [.preface(MuxPreface(MuxOptions()))] + Self.frames.map { .frame($0) })
        #expect(parser.bufferedBytes == 0)
    }

    @Test("data is passed on as it comes, without being kept")
    func data() throws {
        var parser = MuxParser()
        var bytes = ByteBuffer()
        MuxPreface(MuxOptions()).write(to: &bytes)
        MuxFrameHead(kind: .data, stream: 7, payloadSizeBytes: 5).write(to: &bytes)
        bytes.writeBytes([1, 2])
        #expect(try parser.next(from: &bytes) == .preface(MuxPreface(MuxOptions())))
        #expect(try parser.next(from: &bytes) == .data(stream: 7, ByteBuffer(bytes: [1, 2])))
        #expect(try parser.next(from: &bytes) == nil)
        #expect(parser.bufferedBytes == 0)
        var more = ByteBuffer(bytes: [3, 4, 5])
        MuxFrame.finish(stream: 7).write(to: &more)
        #expect(try parser.next(from: &more) == .data(stream: 7, ByteBuffer(bytes: [3, 4, 5])))
        #expect(try parser.next(from: &more) == .frame(.finish(stream: 7)))
    }

    @Test("a reason is cut to its size, and cannot look like lines of a log")
    func reason() {
        var bytes = ByteBuffer()
        MuxFrame.goAway(String(repeating: "x", count: 5000)).write(to: &bytes)
        #expect(LinkFrames.frames(bytes) == [.goAway(String(repeating: "x", count: 1024))])
        let text = Array("a\nb\u{1B}[2Jc".utf8)
        #expect(
            LinkFrames.frames(LinkFrames.raw(8, 0, UInt32(text.count), text)) == [.goAway("a?b?[2Jc")])
    }

    @Test("random bytes give frames or an error, and are not kept", arguments: 0..<300)
    func randomBytes(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var bytes = ByteBuffer()
        if seed % 3 != 0 { MuxPreface(MuxOptions()).write(to: &bytes) }
        bytes.writeBytes(random.bytes(Int.random(in: 0...4000, using: &random)))
        feed(bytes, &random)
    }

    @Test("bytes of frames with some changed give frames or an error, and are not kept", arguments: 0..<700)
    func mutatedFrames(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var bytes = ByteBuffer()
        MuxPreface(MuxOptions()).write(to: &bytes)
        for _ in 0..<Int.random(in: 1...30, using: &random) {
            Self.frames[Int.random(in: 0..<Self.frames.count, using: &random)].write(to: &bytes)
            let data = random.bytes(Int.random(in: 1...200, using: &random))
            MuxFrameHead(kind: .data, stream: 9, payloadSizeBytes: data.count).write(to: &bytes)
            bytes.writeBytes(data)
        }
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let place = Int.random(in: 0..<bytes.readableBytes, using: &random)
            bytes.setInteger(UInt8.random(in: 0...255, using: &random), at: bytes.readerIndex + place)
        }
        feed(bytes, &random)
    }

    /// Each call makes progress or says that it is done, so the number of items is bounded by that of the bytes.
    private func feed(_ all: ByteBuffer, _ random: inout SplitMix64) {
        var bytes = all
        var parser = MuxParser()
        var items = 0
        do throws(EndpointError) {
            while bytes.readableBytes > 0 {
                let size = min(Int.random(in: 1...700, using: &random), bytes.readableBytes)
                guard var piece = bytes.readSlice(length: size) else { return }
                while try parser.next(from: &piece) != nil { items += 1 }
                #expect(piece.readableBytes == 0)
                #expect(parser.bufferedBytes < MuxFrameHead.reasonSizeMaxBytes)
                #expect(items <= all.readableBytes)
            }
        } catch {
            #expect(error.code == .protocolViolation)
            #expect(!error.message.isEmpty)
        }
    }
}
