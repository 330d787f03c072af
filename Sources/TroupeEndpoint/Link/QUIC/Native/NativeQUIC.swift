import CTroupeQUIC

/// A QUIC connection of ngtcp2 over an ICE agent. To be used on the loop; it ends with its owner, before the agent does.
@safe struct NativeQUIC: ~Copyable {
    private let pointer: OpaquePointer

    enum Read {
        case bytes([UInt8])
        case nothingYet
        case end
        case reset
    }

    enum Open {
        case stream(Int64)
        case notYet
        case over
    }

    /// - Parameter owner: gets the callbacks; it must outlive this value.
    init?(
        over ice: borrowing NativeICE, isClient: Bool, certificate: EndpointCertificate, peerKeyInfo: [UInt8],
        options: QUICOptions, owner: Unmanaged<PathDriver>
    ) {
        var callbacks = unsafe Self.callbacks(owner)
        let ice = unsafe ice.pointer
        let made: OpaquePointer? = unsafe certificate.certificate.withUnsafeBufferPointer { shown in
            unsafe certificate.privateKey.withUnsafeBufferPointer { key in
                unsafe peerKeyInfo.withUnsafeBufferPointer { expected in
                    var configuration = unsafe troupe_quic_configuration(isClient, shown, key, expected, options)
                    return unsafe troupe_quic_new(ice, &configuration, &callbacks)
                }
            }
        }
        guard let made = unsafe made else { return nil }
        unsafe pointer = unsafe made
    }

    private static func callbacks(_ owner: Unmanaged<PathDriver>) -> troupe_quic_callbacks {
        unsafe troupe_quic_callbacks(
            context: owner.toOpaque(),
            established: { context in unsafe driver(context).assumeIsolated { $0.onEstablished() } },
            ended: { context, end, detail in
                let end = QUICEnd(end)
                let detail = unsafe String(cString: detail)
                unsafe driver(context).assumeIsolated { $0.onEnded(end, detail) }
            },
            stream_opened: { context, stream, urgency in
                // The C side has refused streams of any other urgency.
                let urgency: StreamUrgency = urgency == StreamUrgency.urgent.rawValue ? .urgent : .bulk
                unsafe driver(context).assumeIsolated { $0.onStreamOpened(stream, urgency) }
            },
            stream_changed: { context, stream, changes in
                let isReadable = changes & UInt32(TROUPE_STREAM_READABLE) != 0
                let isWritable = changes & UInt32(TROUPE_STREAM_WRITABLE) != 0
                unsafe driver(context).assumeIsolated {
                    $0.onStreamChanged(stream, isReadable: isReadable, isWritable: isWritable)
                }
            },
            streams_allowed: { context in unsafe driver(context).assumeIsolated { $0.onStreamsAllowed() } })
    }

    deinit { unsafe troupe_quic_free(pointer) }

    func open(_ urgency: StreamUrgency) -> Open {
        switch unsafe troupe_quic_open(pointer, urgency.rawValue) {
        case -1: .notYet
        case let id where id >= 0: .stream(id)
        default: .over
        }
    }

    /// How many bytes were taken; nil when this direction is over.
    func write(_ bytes: ArraySlice<UInt8>, to stream: Int64) -> Int? {
        let taken = unsafe bytes.withUnsafeBufferPointer { buffer -> Int64 in
            guard let base = buffer.baseAddress else { return 0 }
            return unsafe troupe_quic_write(pointer, stream, base, buffer.count)
        }
        return taken < 0 ? nil : Int(taken)
    }

    func finish(_ stream: Int64) { unsafe troupe_quic_finish(pointer, stream) }

    func read(_ stream: Int64, atMost countMax: Int) -> Read {
        // One byte at least, so that the end of a stream is found when nothing is held.
        let capacity = max(1, min(countMax, unsafe troupe_quic_readable(pointer, stream)))
        var result: Int64 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
            result = unsafe troupe_quic_read(pointer, stream, buffer.baseAddress!, buffer.count)
            count = max(0, Int(result))
        }
        return switch result {
        case 0: .nothingYet
        case -1: .end
        case -2: .reset
        default: .bytes(bytes)
        }
    }

    /// How many bytes can be read at once.
    func held(_ stream: Int64) -> Int { unsafe Int(troupe_quic_readable(pointer, stream)) }

    func reset(_ stream: Int64) { unsafe troupe_quic_reset(pointer, stream) }

    func forget(_ stream: Int64) { unsafe troupe_quic_forget(pointer, stream) }

    var roundTrip: Duration? {
        let microseconds = unsafe troupe_quic_round_trip(pointer)
        return microseconds == 0 ? nil : .microseconds(Int64(microseconds))
    }
}

/// How a connection ended that this side did not close.
enum QUICEnd: Sendable {
    case closedByPeer, peerRefused, refusedByPeer, timedOut, broken

    init(_ end: troupe_quic_end) {
        self =
            switch end {
            case TROUPE_QUIC_CLOSED_BY_PEER: .closedByPeer
            case TROUPE_QUIC_PEER_REFUSED: .peerRefused
            case TROUPE_QUIC_REFUSED_BY_PEER: .refusedByPeer
            case TROUPE_QUIC_TIMED_OUT: .timedOut
            // The header's enumeration is open to Swift; this is the last of it.
            default: .broken
            }
    }
}

extension troupe_quic_configuration {
    fileprivate init(
        _ isClient: Bool, _ certificate: UnsafeBufferPointer<UInt8>, _ key: UnsafeBufferPointer<UInt8>,
        _ peerKeyInfo: UnsafeBufferPointer<UInt8>, _ options: QUICOptions
    ) {
        unsafe self.init(
            is_client: isClient, certificate: certificate.baseAddress!, certificate_size: certificate.count,
            private_key: key.baseAddress!, private_key_size: key.count, peer_key_info: peerKeyInfo.baseAddress!,
            peer_key_info_size: peerKeyInfo.count, streams_max: UInt32(options.streamsMax),
            handshake_ms: options.handshakeLimit.milliseconds, idle_ms: options.idleLimit.milliseconds,
            keep_alive_ms: options.keepAlive.milliseconds, stream_buffer_max: options.streamBufferSizeBytesMax,
            connection_buffer_max: options.connectionBufferSizeBytesMax,
            stream_window_initial: options.streamWindowSizeBytes, stream_window_max: options.streamWindowSizeBytesMax,
            window_growth_max: options.windowGrowthSizeBytesMax)
    }
}

extension Duration {
    fileprivate var milliseconds: UInt32 {
        let (seconds, attoseconds) = components
        return UInt32(clamping: seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
    }
}

private func driver(_ context: UnsafeMutableRawPointer) -> PathDriver {
    unsafe Unmanaged<PathDriver>.fromOpaque(context).takeUnretainedValue()
}
