import NIOCore
import NIOEmbedded
import NIOWebSocket
import Testing

@testable import TroupeEndpoint

@Suite("One end of a WebSocket")
struct WebSocketEndTests {
    private static func channel() throws -> EmbeddedChannel {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(
            WebSocketEnd(.server, patience: WebSocketEnd.Patience(), frameSizeBytesMax: 1 << 16))
        return channel
    }

    private static func ping(_ number: Int) -> WebSocketFrame {
        WebSocketFrame(fin: true, opcode: .ping, maskKey: [1, 2, 3, 4], data: ByteBuffer(integer: number))
    }

    /// The number as a server reads it, which takes the client's mask off.
    private static func masked(_ number: Int) -> Int { number ^ 0x0102_0304_0102_0304 }

    @Test("each ping is answered while the answers are taken, and then the last one: pings alone fill no memory")
    func pings() throws {
        let channel = try Self.channel()
        for number in 0..<3 {
            try channel.writeInbound(Self.ping(number))
            #expect(try channel.readOutbound(as: WebSocketFrame.self)?.opcode == .pong)
        }
        channel.isWritable = false
        channel.pipeline.fireChannelWritabilityChanged()
        for number in 0..<1_000 { try channel.writeInbound(Self.ping(number)) }
        #expect(try channel.readOutbound(as: WebSocketFrame.self) == nil)
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        let answer = try #require(try channel.readOutbound(as: WebSocketFrame.self))
        #expect(answer.opcode == .pong)
        #expect(answer.data.getInteger(at: answer.data.readerIndex, as: Int.self) == Self.masked(999))
        #expect(try channel.readOutbound(as: WebSocketFrame.self) == nil)
        try channel.writeInbound(
            WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: [1, 2, 3, 4], data: ByteBuffer()))
        #expect(try channel.readOutbound(as: WebSocketFrame.self)?.opcode == .connectionClose)
    }
}
