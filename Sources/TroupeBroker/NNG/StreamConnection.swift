import CNNG
import Dispatch

/// A byte stream of nng that carries frames.
///
/// We use nng's streams and not its sockets: the sockets of nng 1.5 lose a step when a connection closes just as a message
/// is read from it; then the one thread that takes connections down stands still for good, and any client can bring that
/// about by hanging up early.
///
/// `@unchecked Sendable`: the operations (`aio`) are nng's and safe to use from any thread, one step at a time, which
/// `state` sees to; `inbox` is only touched by whoever handles the end of the receive operation, or by `resume` after
/// that has paused, and `outgoing` by whoever has made `isSending` true, until the send operation has ended.
@safe final class StreamConnection: FrameWire, @unchecked Sendable {
    private struct State: ~Copyable {
        var isOpen = true
        var isReceiving = false
        var isPaused = false
        /// Whether `resume` came before the pause did.
        var isResumed = false
        var isSending = false
        /// Threads that are handing an operation to nng.
        var entered = 0
        /// Whether nng has been told of the end.
        var isShut = false
        var isFreed = false
        /// What is to be sent next.
        var waiting = ByteStore()
        /// When the stream last took something.
        var progress = DispatchTime.now()
    }

    struct Limits: Sendable {
        /// Bytes of a frame's body, in each direction.
        var bodyBytesMax: Int
        /// How long the other side may take nothing while there is something for it.
        var sendTimeout: Duration
    }

    private let stream: OpaquePointer
    private var receiving: OpaquePointer?
    private var sending: OpaquePointer?
    private var inbox = ByteStore()
    private var outgoing = ByteStore()
    private var isGreeted = false
    private let limits: Limits
    private let handler: FrameHandler
    private let state = Guarded(State())

    /// Takes over a connected stream of nng. Nil, and the stream is freed, when there is no memory.
    init?(adopting stream: OpaquePointer, _ limits: Limits, _ handler: FrameHandler) {
        unsafe self.stream = stream
        self.limits = limits
        self.handler = handler
        let me = unsafe Unmanaged.passUnretained(self).toOpaque()
        let allocated =
            unsafe nng_aio_alloc(&receiving, { unsafe StreamConnection.at($0).arrived() }, me) == 0
            && nng_aio_alloc(&sending, { unsafe StreamConnection.at($0).sent() }, me) == 0
        guard allocated else {
            unsafe nng_aio_free(receiving)
            unsafe nng_stream_free(stream)
            return nil
        }
    }

    private static func at(_ pointer: UnsafeMutableRawPointer?) -> StreamConnection {
        unsafe Unmanaged<StreamConnection>.fromOpaque(pointer!).takeUnretainedValue()
    }

    /// Greets, and reads from now on.
    func start() {
        // nng calls back with a plain pointer to the connection: it stays until `free` has seen both operations end.
        _ = unsafe Unmanaged.passRetained(self)
        let isDue = state.withLock { state in
            state.waiting.append(FrameCodec.greeting)
            return takeWaiting(&state)
        }
        if isDue { push() }
        readOn(needing: FrameCodec.greeting.count)
    }

    // MARK: Sending

    func send(_ frame: Frame, number: UInt32) {
        let (isDue, isStuck) = state.withLock { state -> (Bool, Bool) in
            guard state.isOpen else { return (false, false) }
            let size = state.waiting.count + frame.body.count
            let limit = 2 * (limits.bodyBytesMax + FrameCodec.headBytes)
            guard size <= limit, !state.isSending || state.progress + limits.sendTimeout.dispatched > .now() else {
                return (false, true)
            }
            FrameCodec.append(frame, number: number, to: &state.waiting)
            return (takeWaiting(&state), false)
        }
        if isDue { push() }
        // The other side takes nothing: its answers must not fill our memory.
        if isStuck { end(.lost(NNGFailure(code: troupe_nng_timed_out))) }
    }

    /// Makes all that waits the next to be sent, unless something is being sent.
    /// - Returns: Whether it falls to the caller to `push` it.
    private func takeWaiting(_ state: inout State) -> Bool {
        guard state.isOpen, !state.isSending, !state.waiting.isEmpty else { return false }
        swap(&outgoing, &state.waiting)
        state.progress = .now()
        state.isSending = true
        state.entered += 1
        return true
    }

    /// Sends what is outgoing. nng does not call back on this thread.
    private func push() {
        let bytes = unsafe outgoing.bytes
        var vector = unsafe nng_iov(
            iov_buf: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        unsafe nng_aio_set_iov(sending, 1, &vector)
        unsafe nng_stream_send(stream, sending)
        unsafe left(sending)
    }

    /// Leaves nng after having handed it an operation. It would keep one for ever that comes just after the end.
    private func left(_ operation: OpaquePointer?) {
        let isOpen = state.withLock { state in
            if state.isOpen { state.entered -= 1 }
            return state.isOpen
        }
        if isOpen { return }
        unsafe nng_aio_cancel(operation)
        state.withLock { $0.entered -= 1 }
        freeIfEnded()
    }

    private func sent() {
        let code = unsafe nng_aio_result(sending)
        if code == 0 { outgoing.consumed(unsafe nng_aio_count(sending)) }
        let rest = outgoing.count
        let isDue = state.withLock { state in
            state.progress = .now()
            if code == 0 && state.isOpen && rest > 0 {
                state.entered += 1
                return true
            }
            state.isSending = false
            return code == 0 && takeWaiting(&state)
        }
        if isDue { return push() }
        if code != 0 { end(.lost(NNGFailure(code: code))) }
        freeIfEnded()
    }

    // MARK: Receiving

    private func arrived() { Arrivals.receive { received() } }

    private func received() {
        let code = unsafe nng_aio_result(receiving)
        let count = unsafe nng_aio_count(receiving)
        state.withLock { $0.isReceiving = false }
        if code == 0 && count > 0 {
            inbox.filled(count)
            deliver()
        } else {
            end(.lost(NNGFailure(code: code == 0 ? troupe_nng_shut : code)))
        }
        freeIfEnded()
    }

    /// Hands over the frames that are complete, and reads on.
    private func deliver() {
        if !isGreeted {
            switch FrameCodec.greet(&inbox) {
            case nil, .frame: isGreeted = true
            case .needs(let count): return readOn(needing: count)
            case .violation(let what): return end(.violation(what))
            }
            handler.greeted()
        }
        while true {
            switch FrameCodec.next(&inbox, bodyBytesMax: limits.bodyBytesMax) {
            case .needs(let count): return readOn(needing: count)
            case .violation(let what): return end(.violation(what))
            case .frame(let frame, let number):
                if !handler.received(frame, number) && isPausing() { return }
            }
        }
    }

    private func isPausing() -> Bool {
        state.withLock { state in
            state.isPaused = !state.isResumed
            state.isResumed = false
            return state.isPaused
        }
    }

    func resume() {
        let wasPaused = state.withLock { state in
            state.isResumed = !state.isPaused
            defer { state.isPaused = false }
            return state.isPaused && state.isOpen
        }
        if wasPaused { deliver() }
    }

    private func readOn(needing count: Int) {
        // Not more room than half of what is there: a sender that announces much gets memory as its bytes come.
        let room = min(count, max(inbox.count, ByteStore.capacityKept / 2))
        if inbox.room < room { inbox.reserve(room) }
        let isOpen = state.withLock { state in
            state.isReceiving = state.isOpen
            if state.isOpen { state.entered += 1 }
            return state.isOpen
        }
        guard isOpen else { return }
        let tail = unsafe inbox.tail
        var vector = unsafe nng_iov(iov_buf: tail.baseAddress, iov_len: tail.count)
        unsafe nng_aio_set_iov(receiving, 1, &vector)
        unsafe nng_stream_recv(stream, receiving)
        unsafe left(receiving)
    }

    // MARK: The end

    func close() { end(.closedHere) }

    private func end(_ reason: StreamEnd) {
        let isFirst = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard isFirst else { return }
        unsafe nng_stream_close(stream)
        unsafe nng_aio_cancel(receiving)
        unsafe nng_aio_cancel(sending)
        state.withLock { $0.isShut = true }
        handler.ended(reason)
        freeIfEnded()
    }

    /// Frees what nng holds once the connection has ended and neither operation is under way; on another thread, since
    /// this one may be in a callback, for whose end it has to wait.
    private func freeIfEnded() {
        let isDue = state.withLock { state in
            guard state.isShut, state.entered == 0, !state.isReceiving, !state.isSending, !state.isFreed else {
                return false
            }
            state.isFreed = true
            return true
        }
        guard isDue else { return }
        DispatchQueue.global().async {
            unsafe nng_aio_free(self.receiving)
            unsafe nng_aio_free(self.sending)
            unsafe nng_stream_free(self.stream)
            unsafe Unmanaged.passUnretained(self).release()
        }
    }
}

extension Duration {
    /// For Dispatch's clock.
    var dispatched: DispatchTimeInterval { .milliseconds(Int(milliseconds)) }
}
