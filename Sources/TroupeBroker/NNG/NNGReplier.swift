/// The server side of request-reply: takes requests from any number of connections and answers each when it is ready,
/// in any order and from any thread.
///
/// The handler runs on the nng thread that received the request, without a hop: it must not block. The requests of one
/// connection are handled in the order in which they were sent.
package final class NNGReplier: Sendable {
    package struct Options: Sendable {
        /// Requests that can be held at once, over all connections. When there are so many, nothing more is read.
        package var requestsMax = 4096
        /// Connections at once; more are closed as they come.
        package var peersMax = 4096
        /// Bytes of a request, and of a reply; a connection that sends more is closed.
        package var messageBytesMax = 64 << 20
        /// How long a connection may leave its replies unread, or its greeting unsaid, before it is closed.
        package var replyTimeout = Duration.seconds(30)

        package init() {}
    }

    /// A connection came or went.
    package enum PeerEvent: Sendable {
        /// `listener` is what `listen` returned; 0 is the first.
        case joined(NNGPeer, listener: Int)
        case left(NNGPeer)
    }

    private let core: ReplierCore

    /// - Parameter onRefusal: told why a connection is closed that does not keep to the protocol or comes over a bound. It
    ///   is called on nng's threads, so it must not wait.
    package init(
        options: Options = Options(),
        onPeer: @escaping @Sendable (PeerEvent) -> Void = { _ in },
        onRefusal: @escaping @Sendable (String) -> Void = { _ in },
        handler: @escaping @Sendable (NNGRequest) -> Void
    ) throws(BrokerError) {
        core = ReplierCore(options: options, onPeer: onPeer, onRefusal: onRefusal, handler: handler)
    }

    deinit {
        core.shut()
    }

    /// Listens at one more address.
    /// - Returns: The listener's number, and the address as it turned out (port 0 becomes the port that was bound).
    @discardableResult
    package func listen(
        _ address: NNGAddress
    ) throws(BrokerError) -> (
        listener: Int, address: NNGAddress
    ) {
        try core.listen(address)
    }

    /// Closes a connection; what it was waiting for is dropped.
    package func disconnect(_ peer: NNGPeer) {
        core.disconnect(peer)
    }

    /// Stops listening, closes all connections and waits for handlers that run. Not to be called in a handler.
    package func close() {
        core.shut()
        core.awaitHandlers()
    }
}

/// A connection to a replier; not used again after it has left (until 2³² others have been).
package struct NNGPeer: Hashable, Sendable, CustomStringConvertible {
    package let id: UInt32
    package var description: String { "peer \(id)" }
}

/// A request, and the one chance to answer it.
package struct NNGRequest: Sendable {
    package let frame: Frame
    package let peer: NNGPeer
    /// Few requests more can be held: answer held waits now, and this one at once.
    package let isCrowded: Bool
    package let token: ReplyToken

    package func reply(_ frame: Frame) { token.reply(frame) }

    /// Ends the request without an answer, for an asker that is known not to wait any more.
    package func discard() { token.discard() }
}
