import Foundation
import NIOCore

/// Asks an HTTP proxy to connect to the relay, and steps aside when it has.
final class ProxyConnect: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let answerSizeBytesMax = 8 << 10

    private let proxy: RelayProxy
    private let host: String
    private let port: Int
    private let connected: EventLoopPromise<Void>
    private var answer: [UInt8] = []
    private var isDone = false

    init(_ proxy: RelayProxy, to host: String, port: Int, connected: EventLoopPromise<Void>) {
        self.proxy = proxy
        self.host = host
        self.port = port
        self.connected = connected
    }

    func channelActive(context: ChannelHandlerContext) {
        let target = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        var request = "CONNECT \(target) HTTP/1.1\r\nHost: \(target)\r\n"
        if let credentials = proxy.credentials {
            request += "Proxy-Authorization: Basic \(Data(credentials.utf8).base64EncodedString())\r\n"
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request + "\r\n")), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return context.fireChannelRead(data) }
        answer += unwrapInboundIn(data).readableBytesView
        // A refusal may have a body behind its head. After a consent nothing comes, since the relay waits for us to begin.
        guard isHeadComplete else {
            if answer.count > Self.answerSizeBytesMax { fail(context, "does not answer as a proxy does") }
            return
        }
        let line = String(decoding: answer.prefix { $0 != 13 }.prefix(100), as: UTF8.self)
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1].hasPrefix("2"), words[1].count == 3 else {
            return fail(context, "does not connect to \(host):\(port): '\(line)'")
        }
        isDone = true
        connected.succeed()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    private var isHeadComplete: Bool {
        answer.indices.contains { answer[$0...].starts(with: [13, 10, 13, 10]) }
    }

    /// Also when the connection never came about.
    func handlerRemoved(context: ChannelHandlerContext) { fail(context, "has hung up") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(context, "cannot be used: \(error)")
    }

    private func fail(_ context: ChannelHandlerContext, _ what: String) {
        guard !isDone else { return }
        isDone = true
        connected.fail(EndpointError(.unreachable, "the HTTP proxy \(proxy.host):\(proxy.port) \(what)"))
        context.close(promise: nil)
    }
}
