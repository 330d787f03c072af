/// Who helps to find a path through NATs, and how long to try.
package struct ICEConfiguration: Sendable {
    /// Servers that tell an address as the world sees it. The first is used to find paths, two of them to tell what kind of
    /// NAT there is.
    package var stun: [ServerAddress]
    /// Servers that pass datagrams on where no direct path can be had.
    package var turn: [TURNServer]
    /// Numeric addresses of this machine to use; all but loopback and link-local ones if none is named.
    package var localAddresses: [String] = []
    /// Whether to use nothing but TURN, which hides this site's addresses from its peers.
    package var relayOnly = false
    /// How long finding a path and proving keys on it may take together.
    package var limit = Duration.seconds(15)
    package var quic = QUICOptions()

    package init(stun: [ServerAddress] = [], turn: [TURNServer] = []) {
        self.stun = stun
        self.turn = turn
    }
}

/// A host, by name or number, and a port.
package struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    package var host: String
    package var port: UInt16

    package init(host: String, port: UInt16 = 3_478) {
        self.host = host
        self.port = port
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A TURN server and what it asks for. Its description leaves out the secret.
package struct TURNServer: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    package enum Transport: String, Sendable, Hashable, CaseIterable {
        case udp, tcp
    }

    package var address: ServerAddress
    package var user: String
    package var password: String
    package var transport: Transport

    package init(_ address: ServerAddress, user: String, password: String, transport: Transport = .udp) {
        self.address = address
        self.user = user
        self.password = password
        self.transport = transport
    }

    package var description: String { "\(address)/\(transport.rawValue)" }
    package var debugDescription: String { description }
    // `dump` and string interpolation of what contains it go by the mirror.
    package var customMirror: Mirror { Mirror(self, children: ["address": address, "transport": transport]) }
}
