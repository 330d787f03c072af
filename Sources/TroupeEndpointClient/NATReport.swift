/// What stands between this machine and its peers, for `troupe endpoint nat`.
package struct NATReport: Sendable, Hashable, Codable {
    package enum Mapping: String, Sendable, Hashable, Codable, CaseIterable {
        /// Servers see the machine's own address.
        case none
        /// One outside address for all destinations: a hole can be punched ("cone").
        case endpointIndependent
        /// Another outside address for each destination ("symmetric").
        case endpointDependent
        /// Fewer than two servers answered.
        case unknown
    }

    /// Whether a TURN server gave an address at which peers reach this machine.
    package struct TURN: Sendable, Hashable, Codable {
        package var server: String
        package var works: Bool

        package init(server: String, works: Bool) {
            self.server = server
            self.works = works
        }
    }

    /// What each STUN server saw, in the order of the configuration.
    package var seenAs: [String?]
    package var mapping: Mapping
    package var turn: [TURN]

    package init(seenAs: [String?], mapping: Mapping, turn: [TURN]) {
        self.seenAs = seenAs
        self.mapping = mapping
        self.turn = turn
    }

    /// Whether a datagram came back from anybody.
    package var passesUDP: Bool { seenAs.contains { $0 != nil } }

    /// What will work and what will not, a sentence a line.
    package var words: [String] { [mappingWords, turnWords] }

    private var mappingWords: String {
        guard passesUDP else {
            return "UDP is blocked, or no STUN server answers: no hole can be punched from here"
        }
        return switch mapping {
        case .none:
            "no NAT: peers reach this machine directly, if its firewall lets UDP in"
        case .endpointIndependent:
            "a NAT that keeps one address for all destinations (cone): holes can be punched to peers behind the same kind or "
                + "none; to a peer behind a symmetric one only if this NAT lets strangers in, else TURN is needed"
        case .endpointDependent:
            "a NAT that takes another address for each destination (symmetric): a direct path only to peers without NAT, or "
                + "whose NAT lets strangers in; to all others TURN is needed"
        case .unknown:
            "a NAT of unknown kind: name two STUN servers, or one that answers on two addresses"
        }
    }

    private var turnWords: String {
        let working = turn.filter(\.works)
        if let first = working.first { return "through \(first.server) every peer can be reached" }
        if !turn.isEmpty { return "no TURN server works: check its address, and the user and password" }
        let isHard = !passesUDP || mapping == .endpointDependent
        return isHard
            ? "no TURN server is configured: what cannot be punched goes through the relay, if its policy allows"
            : "no TURN server is configured"
    }
}
