/// What an ICE agent asks of datagrams, so that a stranger's do not pass for the peer's.
struct ICECredentials: Sendable, Hashable, Codable {
    var user: String
    var password: String
}

/// How a candidate's address was learnt (RFC 8445 §5.1.1).
package enum CandidateType: String, Sendable, Hashable, CaseIterable {
    /// An address of the machine.
    case host
    /// An address that a NAT gave, seen by a STUN or TURN server.
    case serverReflexive = "srflx"
    /// The same, seen by the peer.
    case peerReflexive = "prflx"
    /// An address at a TURN server.
    case relayed = "relay"

    /// The type that a candidate's line of SDP names.
    init?(ofCandidate line: String) {
        let words = line.split(separator: " ")
        guard let at = words.firstIndex(of: "typ"), at + 1 < words.count else { return nil }
        self.init(rawValue: String(words[at + 1]))
    }
}

/// The candidates between which a path goes.
struct ICEPair: Sendable, Hashable {
    var local: CandidateType
    var localAddress: String
    var remote: CandidateType
    var remoteAddress: String

    var path: PeerPath {
        let isRelayed = local == .relayed || remote == .relayed
        return PeerPath(
            isRelayed ? .turn : .holePunched,
            "\(local.rawValue) \(localAddress) \u{2192} \(remote.rawValue) \(remoteAddress)")
    }
}

/// What was learnt in an attempt, to say why it failed.
struct PunchFindings: Sendable, Hashable {
    var peer: EndpointID
    var hasSTUN = false
    var hasTURN = false
    var localTypes: Set<CandidateType> = []
    var remoteTypes: Set<CandidateType> = []
    var heardPeer = false
    var foundPath = false

    /// Why no connection came about, and what to do.
    var failure: EndpointError {
        guard heardPeer else {
            return EndpointError(
                .timedOut,
                "\(peer.short) did not answer through the relay: is its endpoint running, and does it trust this one?")
        }
        if foundPath {
            return EndpointError(
                .timedOut, "a path to \(peer.short) was found, but it did not complete the handshake on it")
        }
        return EndpointError(.unreachable, "no path to \(peer.short): \(reason)")
    }

    private var reason: String {
        if localTypes.isEmpty { return "there is no local address to reach it from" }
        if remoteTypes.isEmpty {
            return "it has told no address: its network is down, or its configuration names a wrong one"
        }
        let isSilent = !localTypes.contains(.serverReflexive) && !localTypes.contains(.relayed)
        if hasSTUN || hasTURN, isSilent {
            return "UDP is blocked here or the \(hasTURN ? "TURN" : "STUN") server is down, for it did not answer: "
                + "name a TURN server that can be reached over TCP"
        }
        if !remoteTypes.contains(.serverReflexive), !remoteTypes.contains(.relayed) {
            return
                "it knows none of its addresses that can be seen from outside: UDP is blocked there, or its endpoint "
                + "has no STUN server; name a TURN server there"
        }
        if localTypes.contains(.relayed) || remoteTypes.contains(.relayed) {
            return "not even the TURN server's address can be reached: a firewall drops UDP to it"
        }
        return "at least one of the two NATs is symmetric, and there is no TURN server: name one at either endpoint"
    }
}
