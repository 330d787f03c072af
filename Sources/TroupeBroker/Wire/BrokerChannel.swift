import Synchronization

/// A client's way to a broker: sends operations, and proves the token whenever a (new) connection asks for it.
package final class BrokerChannel: Sendable {
    private let requester: NNGRequester
    private let token: BrokerToken?

    /// Handshakes in a row that one request tries: each can be undone by a connection that breaks in between.
    private static let handshakesMax = 3

    /// Starts connecting and returns at once.
    package init(
        _ address: NNGAddress, token: BrokerToken?, options: NNGRequester.Options = .init()
    ) throws(BrokerError) {
        requester = try NNGRequester(address, options: options)
        self.token = token
    }

    package var address: String { requester.address }
    package var isConnected: Bool { requester.isConnected }

    package func close() { requester.close() }

    /// Sends an operation and awaits its outcome; see ``NNGRequester/request(_:timeout:)`` for what can fail. Unless
    /// `isCancellable`, the outcome is awaited also when the task is cancelled.
    package func request(
        _ operation: [UInt8], timeout: Duration, isCancellable: Bool = true
    ) async throws(BrokerError) -> [UInt8] {
        let deadline = ContinuousClock.now + timeout
        for _ in 0..<BrokerChannel.handshakesMax {
            let reply = try await send(Frame(.operation, operation), try left(deadline, timeout), isCancellable)
            if reply.kind == .answer && reply.version == Frame.currentVersion { return reply.body }
            guard case .identify? = reply.refusal?.reason else { throw unexpected(reply) }
            try await identify(deadline, timeout)
        }
        throw BrokerError(
            .connectionLost, "The connection to the broker at \(address) breaks again and again; it acted on nothing.")
    }

    private func send(
        _ frame: Frame, _ timeout: Duration, _ isCancellable: Bool
    ) async throws(BrokerError) -> Frame {
        if isCancellable { return try await requester.request(frame, timeout: timeout) }
        let result = await withCheckedContinuation { continuation in
            _ = requester.start(frame, timeout: timeout) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Asks whether a broker answers and takes our token.
    package func ping(timeout: Duration) async throws(BrokerError) {
        try await identify(ContinuousClock.now + timeout, timeout)
    }

    private func identify(_ deadline: ContinuousClock.Instant, _ timeout: Duration) async throws(BrokerError) {
        let hello = try await requester.request(Frame(.hello), timeout: try left(deadline, timeout))
        if hello.kind == .welcome && hello.version == Frame.currentVersion { return }
        guard hello.kind == .nonce, hello.body.count == BrokerToken.nonceBytes else { throw unexpected(hello) }
        guard let token else {
            throw BrokerError(
                .unauthorized,
                "The broker at \(address) asks for its token: set TROUPE_TOKEN, or add ?token-file=PATH to the URL.")
        }
        let ours = BrokerToken.nonce()
        let proof = token.proof(of: .client, brokerNonce: hello.body, clientNonce: ours)
        let reply = try await requester.request(Frame(.proof, ours + proof), timeout: try left(deadline, timeout))
        if case .identify? = reply.refusal?.reason { return }
        guard reply.kind == .welcome else { throw unexpected(reply) }
        guard token.accepts(reply.body, of: .broker, brokerNonce: hello.body, clientNonce: ours) else {
            throw BrokerError(
                .unauthorized, "What answers at \(address) does not know the token: it is not the broker that you mean."
            )
        }
    }

    private func left(_ deadline: ContinuousClock.Instant, _ timeout: Duration) throws(BrokerError) -> Duration {
        let left = deadline - .now
        guard left > .zero else {
            throw BrokerError(.timedOut, "The broker at \(address) did not finish the handshake within \(timeout).")
        }
        return left
    }

    private func unexpected(_ reply: Frame) -> BrokerError {
        guard reply.version == Frame.currentVersion else {
            return BrokerError(
                .unsupportedVersion,
                "What answers at \(address) speaks another protocol than version \(Frame.currentVersion) of Troupe's.")
        }
        guard let (reason, sentence) = reply.refusal else {
            return BrokerError(
                .protocolViolation, "The broker at \(address) answered with a frame of kind \(reply.kind.rawValue).")
        }
        let code: BrokerError.Code =
            switch reason {
            case .identify, .unauthorized: .unauthorized
            case .unsupportedVersion: .unsupportedVersion
            case .unknownKind, .malformed: .protocolViolation
            case .unavailable: .connectionLost
            case nil: .protocolViolation
            }
        return BrokerError(code, "The broker at \(address) refused: \(sentence)")
    }
}
