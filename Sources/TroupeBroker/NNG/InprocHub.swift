import Synchronization

/// The repliers of this process that listen at `inproc://` names. Their frames pass from hand to hand: a request is
/// handled on the thread that asks.
enum InprocHub {
    /// Opens the replier's end of a connection, given the client's.
    typealias Acceptor = @Sendable (any FrameWire) -> (any FrameWire)?

    private static let acceptors = Mutex<[String: Acceptor]>([:])

    static func listen(_ address: NNGAddress, _ acceptor: @escaping Acceptor) throws(BrokerError) {
        let isFree = acceptors.withLock { acceptors in
            guard acceptors[address.url] == nil else { return false }
            acceptors[address.url] = acceptor
            return true
        }
        guard isFree else { throw NNGFailure.addressInUse.atAddress(address.shown) }
    }

    static func stopListening(_ url: String) {
        acceptors.withLock { $0[url] = nil }
    }

    static func acceptor(_ url: String) -> Acceptor? {
        acceptors.withLock { $0[url] }
    }
}

/// One end of a connection within the process: what is sent into it comes out of the other end's handler.
final class InprocWire: FrameWire {
    private struct State {
        var isOpen = true
        var other: (any FrameWire)?
    }

    private let handler: FrameHandler
    private let state = Mutex(State())

    init(_ handler: FrameHandler) {
        self.handler = handler
    }

    /// Ties the two ends together; both must be, before anything is sent.
    func connect(to other: any FrameWire) {
        state.withLock { $0.other = other }
    }

    func send(_ frame: Frame, number: UInt32) {
        guard let other = state.withLock({ $0.isOpen ? $0.other as? InprocWire : nil }) else { return }
        other.receive(frame, number)
    }

    private func receive(_ frame: Frame, _ number: UInt32) {
        // A pause is not heeded: the sender is in this process, and bounded by its own waits.
        guard state.withLock({ $0.isOpen }) else { return }
        _ = handler.received(frame, number)
    }

    func resume() {}

    func close() { end(.closedHere) }

    private func end(_ reason: StreamEnd) {
        let other = state.withLock { state -> InprocWire?? in
            guard state.isOpen else { return nil }
            state.isOpen = false
            defer { state.other = nil }
            return .some(state.other as? InprocWire)
        }
        guard let other else { return }
        handler.ended(reason)
        other?.end(.lost(.closed))
    }
}
