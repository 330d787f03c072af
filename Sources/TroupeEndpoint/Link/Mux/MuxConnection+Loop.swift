import NIOCore
import Synchronization

/// What a connection does on its channel's event loop, for the channel's handler.
extension MuxConnection {
    var isReady: Bool {
        state.withLock { state in
            switch state.machine.phase {
            case .ready: true
            case .greeting, .ended: false
            }
        }
    }

    /// Bytes have come.
    func receive(_ bytes: ByteBuffer) {
        let woken = state.withLock { state in
            state.machine.receive(bytes, now: .now())
            return state.takeWoken()
        }
        for waiter in woken { waiter.resume() }
    }

    /// Fills a buffer; false if there is nothing to send.
    func takeOutput(to buffer: inout ByteBuffer, atMost countMax: Int) -> Bool {
        let woken = state.withLock { state in
            state.pump = .idle
            guard state.machine.hasOutput else { return [] as [CheckedContinuation<Void, Never>] }
            state.machine.write(to: &buffer, atMost: countMax, now: .now())
            return state.takeWoken()
        }
        for waiter in woken { waiter.resume() }
        return buffer.readableBytes > 0
    }

    /// The channel takes no more, and calls when it does: until then nobody needs to send for the loop.
    func holdPump() {
        state.withLock { if $0.pump == .idle { $0.pump = .held } }
    }

    /// The channel is over.
    func stopPump() {
        state.withLock { $0.pump = .over }
    }
}
