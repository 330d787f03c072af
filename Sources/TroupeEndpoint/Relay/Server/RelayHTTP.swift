import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Bounds what is read before a connection is a WebSocket: the request's line, headers and, if somebody sends one, body.
final class HeadBound: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// More was sent than a request's head may have.
    struct Exceeded: Error {}

    private let sizeBytesMax: Int
    private var sizeBytes = 0

    init(sizeBytesMax: Int) { self.sizeBytesMax = sizeBytesMax }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let isWithin = sizeBytes <= sizeBytesMax
        sizeBytes += unwrapInboundIn(data).readableBytes
        if sizeBytes <= sizeBytesMax {
            context.fireChannelRead(data)
        } else if isWithin {
            context.fireErrorCaught(Exceeded())
        }
    }
}

/// Answers the requests that do not become WebSockets, one for each connection.
final class HTTPAnswers: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    struct Answer {
        var status: HTTPResponseStatus
        var text: String
        var contentType = "text/plain; charset=utf-8"
    }

    private let answer: (HTTPRequestHead) -> Answer
    private let onError: (any Error) -> Void
    private var head: HTTPRequestHead?
    private var hasAnswered = false

    init(answer: @escaping (HTTPRequestHead) -> Answer, onError: @escaping (any Error) -> Void = { _ in }) {
        self.answer = answer
        self.onError = onError
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            if let head { say(answer(head), context) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Why a request became no WebSocket is said in the answer to it.
        if error is NIOWebSocketUpgradeError || error is HTTPServerUpgradeErrors { return }
        onError(error)
        switch error {
        case is HeadBound.Exceeded:
            say(Answer(status: .requestHeaderFieldsTooLarge, text: "The request is too large.\n"), context)
        case is HTTPParserError: say(Answer(status: .badRequest, text: "This is no HTTP request.\n"), context)
        case _: context.close(promise: nil)
        }
    }

    private func say(_ answer: Answer, _ context: ChannelHandlerContext) {
        guard !hasAnswered else { return }
        hasAnswered = true
        let body = ByteBuffer(string: answer.text)
        let headers: HTTPHeaders = [
            "content-type": answer.contentType, "content-length": "\(body.readableBytes)", "connection": "close",
        ]
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers))),
            promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }
}
