import CNNG
import Dispatch
import Synchronization

/// Listens at an address and hands over each stream that is connected to it.
///
/// `@unchecked Sendable`: as for ``StreamConnection``.
@safe final class StreamListener: @unchecked Sendable {
    private struct State {
        var isOpen = true
        var isAccepting = false
        var isShut = false
        var isFreed = false
    }

    private let listener: OpaquePointer
    private var accepting: OpaquePointer?
    private let accepted: @Sendable (OpaquePointer) -> Void
    private let state = Mutex(State())
    /// The address as it turned out: a port 0 has become the one that was bound.
    let address: NNGAddress

    /// Binds the address. `accepted` is called on one of nng's threads with a stream that it has to free.
    static func listen(
        _ address: NNGAddress, accepted: @escaping @Sendable (OpaquePointer) -> Void
    ) throws(BrokerError) -> StreamListener {
        var allocated: OpaquePointer?
        try check(unsafe nng_stream_listener_alloc(&allocated, address.url), address)
        guard let raw = unsafe allocated else {
            throw NNGFailure(code: troupe_nng_no_memory).atAddress(address.shown)
        }
        // As for dialled connections: a frame goes out at once.
        _ = unsafe nng_stream_listener_set_bool(raw, NNG_OPT_TCP_NODELAY, true)
        do throws(BrokerError) {
            if address.isIPC {
                try check(unsafe nng_stream_listener_set_int(raw, NNG_OPT_IPC_PERMISSIONS, 0o600), address)
            }
            if let tls = address.tls {
                let config = try NNGTLSConfiguration.make(tls, address: address.shown)
                let pointer = unsafe UnsafeMutableRawPointer(config.raw)
                try check(unsafe nng_stream_listener_set_ptr(raw, NNG_OPT_TLS_CONFIG, pointer), address)
            }
            try check(unsafe nng_stream_listener_listen(raw), address)
            return try unsafe StreamListener(raw, address, accepted)
        } catch {
            unsafe nng_stream_listener_free(raw)
            throw error
        }
    }

    private static func check(_ code: Int32, _ address: NNGAddress) throws(BrokerError) {
        guard code == 0 else { throw NNGFailure(code: code).atAddress(address.shown) }
    }

    private init(
        _ raw: OpaquePointer, _ address: NNGAddress,
        _ accepted: @escaping @Sendable (OpaquePointer) -> Void
    ) throws(BrokerError) {
        unsafe listener = raw
        unsafe self.accepted = accepted
        var port: Int32 = 0
        let isBound = unsafe nng_stream_listener_get_int(raw, NNG_OPT_TCP_BOUND_PORT, &port) == 0
        self.address = isBound ? address.withPort(port) : address
        let me = unsafe Unmanaged.passUnretained(self).toOpaque()
        let code = unsafe nng_aio_alloc(&accepting, { unsafe StreamListener.at($0).ended() }, me)
        try StreamListener.check(code, address)
    }

    private static func at(_ pointer: UnsafeMutableRawPointer?) -> StreamListener {
        unsafe Unmanaged<StreamListener>.fromOpaque(pointer!).takeUnretainedValue()
    }

    /// Accepts from now on.
    func start() {
        // nng calls back with a plain pointer to the listener: it stays until it has been closed and freed.
        _ = unsafe Unmanaged.passRetained(self)
        accept()
    }

    private func accept() {
        state.withLock { state in
            guard state.isOpen else { return }
            state.isAccepting = true
            unsafe nng_stream_listener_accept(listener, accepting)
        }
        freeIfEnded()
    }

    private func ended() {
        let code = unsafe nng_aio_result(accepting)
        let stream = unsafe code == 0 ? nng_aio_get_output(accepting, 0) : nil
        state.withLock { $0.isAccepting = false }
        if let stream = unsafe stream {
            unsafe accepted(OpaquePointer(stream))
            accept()
        } else {
            // Mostly a client that went away at once; it may be a lack of descriptors, too, which needs a pause.
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(10)) { self.accept() }
        }
    }

    func close() {
        let isFirst = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard isFirst else { return }
        unsafe nng_stream_listener_close(listener)
        unsafe nng_aio_cancel(accepting)
        state.withLock { $0.isShut = true }
        freeIfEnded()
    }

    private func freeIfEnded() {
        let isDue = state.withLock { state in
            guard state.isShut, !state.isAccepting, !state.isFreed else { return false }
            state.isFreed = true
            return true
        }
        guard isDue else { return }
        DispatchQueue.global().async {
            unsafe nng_aio_free(self.accepting)
            unsafe nng_stream_listener_free(self.listener)
            unsafe Unmanaged.passUnretained(self).release()
        }
    }
}
