import Foundation
import SystemPackage

/// What an endpoint is told, as its directory keeps it in `endpoint.json`.
package struct EndpointSettings: Hashable, Sendable, Codable {
    package var site: String
    /// The exchange's URL; where it is absent, the environment's or the command line's is taken. A password in it is why
    /// the file is its owner's only.
    package var exchange: String?
    /// Where other endpoints connect to, as `host:port`.
    package var listen: [String]
    /// Where processes of the site find the endpoint, beside the socket in the directory.
    package var local: [String]
    /// Where peers find each other that have no address.
    package var relay: RelaySettings?
    /// How paths through NATs are found.
    package var nat: NATSettings?

    package init(site: String, exchange: String?, listen: [String], local: [String]) {
        self.site = site
        self.exchange = exchange
        self.listen = listen
        self.local = local
    }

    private enum CodingKeys: String, CodingKey, CaseIterable { case site, exchange, listen, local, relay, nat }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.fields(CodingKeys.self)
        site = try fields.decode(String.self, forKey: .site)
        exchange = try fields.decodeIfPresent(String.self, forKey: .exchange)
        listen = try fields.decodeIfPresent([String].self, forKey: .listen) ?? []
        local = try fields.decodeIfPresent([String].self, forKey: .local) ?? []
        relay = try fields.decodeIfPresent(RelaySettings.self, forKey: .relay)
        nat = try fields.decodeIfPresent(NATSettings.self, forKey: .nat)
    }
}

/// The relays that an endpoint uses.
package struct RelaySettings: Hashable, Sendable, Codable {
    /// `wss://host[:port]`, or `ws://…`; any will do.
    package var urls: [String]
    package var tenant: String?
    package var tokenFile: String?
    /// Certificates of authorities (PEM); the system's if absent.
    package var authoritiesFile: String?
    /// Whether they may pass on what both sides have sealed, where no other path is found.
    package var forwarding: Bool

    package init(
        urls: [String], tenant: String? = nil, tokenFile: String? = nil, authoritiesFile: String? = nil,
        forwarding: Bool = true
    ) {
        self.urls = urls
        self.tenant = tenant
        self.tokenFile = tokenFile
        self.authoritiesFile = authoritiesFile
        self.forwarding = forwarding
    }

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case urls, tenant, tokenFile, authoritiesFile, forwarding
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.fields(CodingKeys.self)
        urls = try fields.decode([String].self, forKey: .urls)
        tenant = try fields.decodeIfPresent(String.self, forKey: .tenant)
        tokenFile = try fields.decodeIfPresent(String.self, forKey: .tokenFile)
        authoritiesFile = try fields.decodeIfPresent(String.self, forKey: .authoritiesFile)
        forwarding = try fields.decodeIfPresent(Bool.self, forKey: .forwarding) ?? true
    }

    package func configuration(
        key: EndpointKey, site: String
    ) throws(EndpointError) -> RelayClientConfiguration {
        var relays: [RelayURL] = []
        for url in urls { relays.append(try RelayURL(url)) }
        var configuration = RelayClientConfiguration(key: key, site: site, tenant: tenant, relays: relays)
        configuration.tokenFile = tokenFile.map { FilePath($0) }
        if let authoritiesFile { configuration.trustRoots = .file(FilePath(authoritiesFile)) }
        return configuration
    }
}

/// Servers that help to find paths through NATs.
package struct NATSettings: Hashable, Sendable, Codable {
    /// As `host:port`.
    package var stun: [String]
    package var turn: [TURN]

    package struct TURN: Hashable, Sendable, Codable {
        /// As `host:port`.
        package var server: String
        package var user: String
        /// A file with the password, its owner's only.
        package var passwordFile: String
        /// `udp` or `tcp`.
        package var transport: String

        package init(server: String, user: String, passwordFile: String, transport: String) {
            self.server = server
            self.user = user
            self.passwordFile = passwordFile
            self.transport = transport
        }

        private enum CodingKeys: String, CodingKey, CaseIterable { case server, user, passwordFile, transport }

        package init(from decoder: any Decoder) throws {
            let fields = try decoder.fields(CodingKeys.self)
            server = try fields.decode(String.self, forKey: .server)
            user = try fields.decode(String.self, forKey: .user)
            passwordFile = try fields.decode(String.self, forKey: .passwordFile)
            transport = try fields.decode(String.self, forKey: .transport)
        }
    }

    package init(stun: [String], turn: [TURN]) {
        self.stun = stun
        self.turn = turn
    }

    private enum CodingKeys: String, CodingKey, CaseIterable { case stun, turn }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.fields(CodingKeys.self)
        stun = try fields.decodeIfPresent([String].self, forKey: .stun) ?? []
        turn = try fields.decodeIfPresent([TURN].self, forKey: .turn) ?? []
    }

    package func configuration() throws(EndpointError) -> ICEConfiguration {
        var ice = ICEConfiguration()
        for text in stun { ice.stun.append(try Self.server(text)) }
        for turn in turn {
            guard let transport = TURNServer.Transport(rawValue: turn.transport) else {
                throw EndpointError(
                    .invalidArgument, "a TURN server's transport is udp or tcp, and not '\(turn.transport)'")
            }
            ice.turn.append(
                TURNServer(
                    try Self.server(turn.server), user: turn.user, password: try Self.secret(turn.passwordFile),
                    transport: transport))
        }
        return ice
    }

    private static func server(_ text: String) throws(EndpointError) -> ServerAddress {
        let address = try HostPort(parsing: text)
        return ServerAddress(host: address.host, port: UInt16(address.port))
    }

    private static func secret(_ path: String) throws(EndpointError) -> String {
        guard let data = FileManager.default.contents(atPath: path), data.count <= 4096 else {
            throw EndpointError(.files, "the password file \(path) cannot be read")
        }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

extension Decoder {
    /// The fields of settings that people edit; one that is not known is a mistake in its name.
    fileprivate func fields<Key: CodingKey & CaseIterable>(_ keys: Key.Type) throws -> KeyedDecodingContainer<Key> {
        let known = keys.allCases.map(\.stringValue)
        let found = try container(keyedBy: AnyField.self).allKeys.map(\.stringValue)
        if let unknown = found.sorted().first(where: { !known.contains($0) }) {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(
                    codingPath: codingPath + [AnyField(stringValue: unknown)],
                    debugDescription: "no such setting; there are \(known.joined(separator: ", "))"))
        }
        return try container(keyedBy: keys)
    }
}

private struct AnyField: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// What is wrong with settings, in words for who wrote them.
enum SettingsText {
    static func of(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        switch error {
        case .keyNotFound(let key, let context): return "\(place(context.codingPath + [key])) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "\(place(context.codingPath)): \(context.debugDescription)"
        case .dataCorrupted(let context):
            guard context.codingPath.isEmpty else { return "\(place(context.codingPath)): \(context.debugDescription)" }
            return "it is no JSON\(context.underlyingError.map { ": \($0)" } ?? "")"
        @unknown default: return "\(error)"
        }
    }

    private static func place(_ path: [any CodingKey]) -> String {
        "'" + path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".") + "'"
    }
}
