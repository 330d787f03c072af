import Synchronization

/// Keeps a ``PeerGate`` per connection of a replier: what passes are operations of peers that may ask for them.
package final class Doorkeeper: Sendable {
    private struct State {
        var gates: [NNGPeer: PeerGate] = [:]
        /// What the peers of each listener have to prove, by its number.
        var tokens: [BrokerToken?]
    }

    private let state: Mutex<State>
    private let onRefusal: @Sendable (String) -> Void

    /// - Parameters:
    ///   - tokens: For each listener, in the order of the calls to `listen`, the token that its peers must prove; nil where
    ///     the operating system or TLS has vouched for them.
    ///   - onRefusal: told what is wrong with a request that no client of ours would send.
    package init(tokens: [BrokerToken?], onRefusal: @escaping @Sendable (String) -> Void = { _ in }) {
        state = Mutex(State(tokens: tokens))
        self.onRefusal = onRefusal
    }

    /// To be called with every event of the replier.
    package func note(_ event: NNGReplier.PeerEvent) {
        state.withLock { state in
            switch event {
            case .joined(let peer, let listener):
                precondition(listener < state.tokens.count, "a listener without a rule for its peers")
                state.gates[peer] = PeerGate(token: state.tokens[listener])
            case .left(let peer):
                state.gates[peer] = nil
            }
        }
    }

    /// Whether the peer is there and has still to prove itself.
    package func awaitsProof(_ peer: NNGPeer) -> Bool {
        state.withLock { state in state.gates[peer].map { !$0.isOpen } ?? false }
    }

    /// Whether the request is an operation to execute. If not, it has been answered here.
    package func admits(_ request: NNGRequest, closing hangUp: (NNGPeer) -> Void) -> Bool {
        // A peer that has just left has no gate any more; nobody reads its answer.
        let action = state.withLock { state in
            state.gates[request.peer]?.receive(request.frame)
                ?? .answer(.refusal(.unavailable, "The connection is closed."))
        }
        switch action {
        case .execute:
            return true
        case .answer(let frame):
            tell(of: frame)
            request.reply(frame)
        case .hangUp(let frame):
            tell(of: frame)
            request.reply(frame)
            hangUp(request.peer)
        }
        return false
    }

    private func tell(of answer: Frame) {
        guard let refusal = answer.refusal else { return }
        switch refusal.reason {
        case .unauthorized, .unsupportedVersion, .unknownKind, .malformed: onRefusal(refusal.sentence)
        // Part of every connection's first steps, or of its end.
        case .identify, .unavailable, nil: break
        }
    }
}
