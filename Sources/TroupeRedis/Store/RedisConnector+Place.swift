public import TroupeStore

extension RedisConnector {
    /// A factory for `StoreRegistry.setFactory(kind: "redis", …)`: it lets proxies bring their stores with them if they
    /// lie at one of these places and nowhere else. Credentials and all else come from the configuration here, only the
    /// choice comes from the proxy.
    ///
    /// Places are told apart as their configurations spell them: `localhost` and `127.0.0.1` are two. Stores at one
    /// place share their connections, which are opened at first use.
    ///
    /// - Throws: ``StoreError/Code/invalidArgument`` if a configuration or option cannot be used.
    public static func factory(
        allowing places: [RedisConfiguration], options: Options = Options()
    ) throws(StoreError) -> StoreRegistry.ConnectorFactory {
        var connectors: [String: RedisConnector] = [:]
        for place in places {
            let connector = try RedisConnector(place, options: options)
            connectors[connector.address] = connector
        }
        return { [connectors] (reference) throws(StoreError) in
            // Compared as text: an address that came in a message is never read as a URL, whose options name files.
            if let connector = connectors[reference.address] { return connector }
            throw StoreError(
                .refused,
                "object \(reference.id) lies in redis at \(reference.address), which is none of the allowed places "
                    + "(\(connectors.keys.sorted().joined(separator: ", "))): register a store named "
                    + "\(reference.store), or allow the place")
        }
    }

    /// The place as a URL that `RedisConfiguration(url:)` reads, without user, password and local files.
    static func publicAddress(of configuration: RedisConfiguration) -> String {
        let (database, prefix) = (configuration.database, configuration.prefix)
        let secure = configuration.tls == nil ? "redis" : "rediss"
        let hosts = configuration.seeds.map { hostAndPort($0) }.joined(separator: ",")
        switch (configuration.topology, configuration.address) {
        case (.single, .unix(let path)): return "redis+unix://\(encoded(path))?db=\(database)&prefix=\(prefix)"
        case (.single, .tcp): return "\(secure)://\(hosts)/\(database)?prefix=\(prefix)"
        case (.sentinel(let primary, _), _):
            return "\(secure)+sentinel://\(hosts)/\(encoded(primary))/\(database)?prefix=\(prefix)"
        case (.cluster, _): return "\(secure)+cluster://\(hosts)?prefix=\(prefix)"
        }
    }

    private static func hostAndPort(_ address: RedisConfiguration.Address) -> String {
        guard case .tcp(let host, let port) = address else { return "" }
        let name = host.contains(":") ? "[\(host.lowercased())]" : encoded(host.lowercased())
        return "\(name):\(port)"
    }

    private static func encoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "/"):
                encoded.unicodeScalars.append(UnicodeScalar(byte))
            default:
                encoded += (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
            }
        }
        return encoded
    }
}
