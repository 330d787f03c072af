import CTroupeQUIC

/// An ICE agent of libnice. To be used on the loop; what is left of it goes with its owner.
@safe struct NativeICE: ~Copyable {
    let pointer: OpaquePointer

    /// - Parameter owner: gets the callbacks; it must outlive this value.
    init?(controlling: Bool, servers: ICEServers, relayOnly: Bool, owner: Unmanaged<PathDriver>) {
        var callbacks = unsafe troupe_ice_callbacks(
            context: owner.toOpaque(),
            candidate: { context, line in
                let line = unsafe String(cString: line)
                unsafe driver(context).assumeIsolated { $0.onCandidate(line) }
            },
            gathered: { context in unsafe driver(context).assumeIsolated { $0.onGathered() } },
            state: { context, state in
                let isConnected = state == TROUPE_ICE_CONNECTED
                unsafe driver(context).assumeIsolated { $0.onState(isConnected: isConnected) }
            },
            pair: { context in unsafe driver(context).assumeIsolated { $0.onPair() } },
            stray: { context, from in
                let from = unsafe String(cString: from)
                unsafe driver(context).assumeIsolated { $0.onStray(from) }
            })
        let made = unsafe Self.make(controlling, servers.stun, relayOnly, &callbacks)
        guard let made = unsafe made else { return nil }
        for turn in servers.turn {
            let added = unsafe troupe_ice_add_turn(
                made, turn.address.host, turn.address.port, turn.user, turn.password, turn.transport == .tcp)
            if !added {
                unsafe troupe_ice_free(made)
                return nil
            }
        }
        unsafe pointer = unsafe made
    }

    private static func make(
        _ controlling: Bool, _ stun: NumericAddress?, _ relayOnly: Bool, _ callbacks: inout troupe_ice_callbacks
    ) -> OpaquePointer? {
        var configuration = unsafe troupe_ice_configuration()
        unsafe configuration.controlling = controlling
        unsafe configuration.relay_only = relayOnly
        guard let stun else { return unsafe troupe_ice_new(&configuration, &callbacks) }
        return unsafe stun.host.withCString { host in
            unsafe configuration.stun_address = unsafe host
            unsafe configuration.stun_port = stun.port
            return unsafe troupe_ice_new(&configuration, &callbacks)
        }
    }

    deinit { unsafe troupe_ice_free(pointer) }

    /// False when an address is none, or there is none.
    func gather(from addresses: [String]) -> Bool {
        for address in addresses {
            if unsafe !troupe_ice_add_local_address(pointer, address) { return false }
        }
        return unsafe troupe_ice_gather(pointer)
    }

    var credentials: ICECredentials? {
        var user = [CChar](repeating: 0, count: 257)
        var password = [CChar](repeating: 0, count: 257)
        guard unsafe troupe_ice_local_credentials(pointer, &user, &password) else { return nil }
        return ICECredentials(user: Self.text(user), password: Self.text(password))
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func setRemote(_ credentials: ICECredentials) -> Bool {
        unsafe troupe_ice_set_remote_credentials(pointer, credentials.user, credentials.password)
    }

    func addRemote(_ candidate: String) -> Bool { unsafe troupe_ice_add_remote_candidate(pointer, candidate) }

    func remoteCandidatesDone() { unsafe troupe_ice_remote_candidates_done(pointer) }

    /// The pair of candidates that is used now.
    var pair: ICEPair? {
        var pair = troupe_ice_pair()
        guard unsafe troupe_ice_selected_pair(pointer, &pair) else { return nil }
        let local = unsafe withUnsafeBytes(of: &pair.local_address) {
            unsafe Self.text(Array($0.bindMemory(to: CChar.self)))
        }
        let remote = unsafe withUnsafeBytes(of: &pair.remote_address) {
            unsafe Self.text(Array($0.bindMemory(to: CChar.self)))
        }
        return ICEPair(
            local: Self.type(pair.local_type), localAddress: local, remote: Self.type(pair.remote_type),
            remoteAddress: remote)
    }

    private static func type(_ type: troupe_candidate_type) -> CandidateType {
        switch type {
        case TROUPE_CANDIDATE_SERVER_REFLEXIVE: .serverReflexive
        case TROUPE_CANDIDATE_PEER_REFLEXIVE: .peerReflexive
        case TROUPE_CANDIDATE_RELAYED: .relayed
        // The header's enumeration is open to Swift; what is left of it is a host's own address.
        default: .host
        }
    }
}

private func driver(_ context: UnsafeMutableRawPointer) -> PathDriver {
    unsafe Unmanaged<PathDriver>.fromOpaque(context).takeUnretainedValue()
}
