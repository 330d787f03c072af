import CNNG
import Dispatch
import Synchronization

/// Connects to an address, again and again as it is asked to.
///
/// `@unchecked Sendable`: as for ``StreamConnection``.
@safe final class StreamDialer: @unchecked Sendable {
    /// A connected stream that the receiver has to free, or why there is none.
    typealias Outcome = Result<OpaquePointer, NNGFailure>

    private struct State {
        var isOpen = true
        var isDialling = false
        var isShut = false
        var isFreed = false
    }

    private let dialer: OpaquePointer
    private var dialling: OpaquePointer?
    private let outcome: @Sendable (Outcome) -> Void
    private let state = Mutex(State())

    /// - Parameter outcome: Called on one of nng's threads after each `dial`.
    static func make(
        _ address: NNGAddress, outcome: @escaping @Sendable (Outcome) -> Void
    ) throws(BrokerError) -> StreamDialer {
        var allocated: OpaquePointer?
        try check(unsafe nng_stream_dialer_alloc(&allocated, address.url), address)
        guard let raw = unsafe allocated else {
            throw NNGFailure(code: troupe_nng_no_memory).atAddress(address.shown)
        }
        // A frame goes out at once. What is no TCP does not know the option, and ws and TLS pass it on.
        _ = unsafe nng_stream_dialer_set_bool(raw, NNG_OPT_TCP_NODELAY, true)
        do throws(BrokerError) {
            if let tls = address.tls {
                let config = try NNGTLSConfiguration.make(tls, address: address.shown)
                let pointer = unsafe UnsafeMutableRawPointer(config.raw)
                try check(unsafe nng_stream_dialer_set_ptr(raw, NNG_OPT_TLS_CONFIG, pointer), address)
            }
            return try unsafe StreamDialer(raw, address, outcome)
        } catch {
            unsafe nng_stream_dialer_free(raw)
            throw error
        }
    }

    private static func check(_ code: Int32, _ address: NNGAddress) throws(BrokerError) {
        guard code == 0 else { throw NNGFailure(code: code).atAddress(address.shown) }
    }

    private init(
        _ raw: OpaquePointer, _ address: NNGAddress, _ outcome: @escaping @Sendable (Outcome) -> Void
    ) throws(BrokerError) {
        unsafe dialer = raw
        unsafe self.outcome = outcome
        let me = unsafe Unmanaged.passUnretained(self).toOpaque()
        let code = unsafe nng_aio_alloc(&dialling, { unsafe StreamDialer.at($0).ended() }, me)
        try StreamDialer.check(code, address)
        // nng calls back with a plain pointer to the dialler: it stays until it has been closed and freed.
        _ = unsafe Unmanaged.passRetained(self)
    }

    private static func at(_ pointer: UnsafeMutableRawPointer?) -> StreamDialer {
        unsafe Unmanaged<StreamDialer>.fromOpaque(pointer!).takeUnretainedValue()
    }

    /// Tries to connect once. Not to be called before the outcome of the last time is known.
    func dial() {
        state.withLock { state in
            guard state.isOpen else { return }
            state.isDialling = true
            unsafe nng_stream_dialer_dial(dialer, dialling)
        }
    }

    private func ended() {
        let code = unsafe nng_aio_result(dialling)
        let stream = unsafe code == 0 ? nng_aio_get_output(dialling, 0) : nil
        state.withLock { $0.isDialling = false }
        if let stream = unsafe stream {
            unsafe outcome(.success(OpaquePointer(stream)))
        } else {
            unsafe outcome(.failure(NNGFailure(code: code)))
        }
        freeIfEnded()
    }

    func close() {
        let isFirst = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard isFirst else { return }
        unsafe nng_stream_dialer_close(dialer)
        unsafe nng_aio_cancel(dialling)
        state.withLock { $0.isShut = true }
        freeIfEnded()
    }

    private func freeIfEnded() {
        let isDue = state.withLock { state in
            guard state.isShut, !state.isDialling, !state.isFreed else { return false }
            state.isFreed = true
            return true
        }
        guard isDue else { return }
        DispatchQueue.global().async {
            unsafe nng_aio_free(self.dialling)
            unsafe nng_stream_dialer_free(self.dialer)
            unsafe Unmanaged.passUnretained(self).release()
        }
    }
}
