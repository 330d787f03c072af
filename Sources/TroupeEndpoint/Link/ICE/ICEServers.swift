import NIOCore
import NIOPosix

/// A server's address as numbers.
struct NumericAddress: Sendable, Hashable {
    var host: String
    var port: UInt16
}

/// The servers of a configuration with their names looked up.
struct ICEServers: Sendable {
    struct TURN: Sendable {
        var address: NumericAddress
        var user: String
        var password: String
        var transport: TURNServer.Transport
    }

    var stun: NumericAddress?
    var turn: [TURN] = []

    /// Looks the names up. A server that has no address is left out, unless none is left.
    static func resolve(_ configuration: ICEConfiguration) async throws(EndpointError) -> ICEServers {
        var servers = ICEServers()
        var unknown: [String] = []
        for turn in configuration.turn.prefix(serversMax) {
            guard let address = await numeric(turn.address) else {
                unknown.append(turn.address.host)
                continue
            }
            servers.turn.append(
                TURN(address: address, user: turn.user, password: turn.password, transport: turn.transport))
        }
        // A TURN server tells the address too, and libnice would wait two seconds for a STUN server's word beside its.
        if !servers.turn.contains(where: { $0.transport == .udp }) {
            for stun in configuration.stun.prefix(serversMax) where servers.stun == nil {
                servers.stun = await numeric(stun)
                if servers.stun == nil { unknown.append(stun.host) }
            }
        }
        if servers.stun == nil, servers.turn.isEmpty, let first = unknown.first {
            throw EndpointError(
                .unreachable, "'\(first)' has no address: correct the STUN and TURN servers, or the name service")
        }
        return servers
    }

    private static let serversMax = 4

    /// Looks a name up, on a thread for calls that block.
    static func numeric(_ server: ServerAddress) async -> NumericAddress? {
        guard let found = await socketAddress(server), let host = found.ipAddress else { return nil }
        return NumericAddress(host: host, port: server.port)
    }

    static func socketAddress(_ server: ServerAddress) async -> SocketAddress? {
        try? await NIOThreadPool.singleton.runIfActive {
            try SocketAddress.makeAddressResolvingHost(server.host, port: Int(server.port))
        }
    }
}
