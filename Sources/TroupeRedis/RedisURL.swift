extension RedisConfiguration {
    package static let expectedForms = """
        redis://[user[:password]@]host[:port][/db][?prefix=…], rediss://… (TLS; ?ca=FILE&cert=FILE&key=FILE&\
        verify=full|none), redis+unix:///path/to.sock[?db=N], redis+sentinel://host:port,host:port/primary-name[/db] or \
        redis+cluster://host:port,host:port (rediss+sentinel and rediss+cluster with TLS)
        """

    /// The schemes of URLs that `init(url:)` reads.
    public static let schemes: Set<String> = [
        "redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster",
    ]

    /// The variable that holds the password when the URL and its `password-file` do not.
    public static let passwordVariable = "TROUPE_REDIS_PASSWORD"

    private static let ownOptions: Set<String> = [
        "prefix", "db", "password-file", "ca", "cert", "key", "verify", "replicas", "sentinel-user",
        "sentinel-password-file",
    ]

    /// Reads a URL of one of these forms; parts may be percent-encoded:
    ///
    ///     redis://[user[:password]@]host[:port][/db][?prefix=…]
    ///     rediss://…                             the same with TLS; also ?ca=FILE&cert=FILE&key=FILE&verify=full|none
    ///     redis+unix:///path/to.sock[?db=N]
    ///     redis+sentinel://[user[:password]@]host[:port],…/primary-name[/db][?sentinel-password-file=…]
    ///     redis+cluster://[user[:password]@]host[:port],…
    ///
    /// `?replicas=N` asks that N replicas confirm each write before it is acknowledged.
    /// The password comes from the URL, else from the first line of the file of `?password-file=`, else from the
    /// environment variable `TROUPE_REDIS_PASSWORD`. Options named in `furtherOptions` are kept in `options`; others
    /// are refused.
    ///
    /// - Throws: `RedisError` with the code `invalidConfiguration`; its message names the part at fault and the
    ///   expected form, and never repeats a password.
    public init(url: String, furtherOptions: Set<String> = []) throws(RedisError) {
        try self.init(url: url, furtherOptions: furtherOptions, environment: environmentVariable)
    }

    package init(
        url: String, furtherOptions: Set<String> = [], environment: (String) -> String?
    ) throws(RedisError) {
        let parts = try RedisURLParts(url)
        switch parts.scheme {
        case "redis+sentinel", "rediss+sentinel": try self.init(sentinels: parts)
        case "redis+cluster", "rediss+cluster": try self.init(clusterNodes: parts)
        case "redis", "rediss":
            self.init(address: try parts.tcpAddress())
            database = try Self.database(parts.path.utf8.count < 2 ? "0" : String(parts.path.dropFirst()))
        case "redis+unix":
            guard parts.host.isEmpty, parts.path.utf8.count > 1 else {
                throw .url("the socket's path must be absolute: three slashes follow the scheme")
            }
            self.init(address: .unix(path: parts.path))
        default:
            throw .url("the scheme \"\(parts.scheme)\" is unknown")
        }
        user = parts.user.isEmpty ? nil : parts.user
        password = parts.password.map { Password($0) }
        if parts.scheme.hasPrefix("rediss") { tls = TLS() }
        for (name, value) in parts.options {
            if Self.ownOptions.contains(name) {
                try set(name, value)
            } else if furtherOptions.contains(name) {
                options[name] = value
            } else {
                let known = Self.ownOptions.union(furtherOptions).sorted().joined(separator: ", ")
                throw .url("the option \"\(name)\" is unknown; known are \(known)")
            }
        }
        if password == nil { password = environment(Self.passwordVariable).map { Password($0) } }
    }

    private mutating func set(_ name: String, _ value: String) throws(RedisError) {
        switch name {
        case "prefix":
            try Self.checkPrefix(value)
            prefix = value
        case "db":
            let number = try Self.database(value)
            if case .cluster = topology, number != 0 { throw .url("a Redis Cluster has no database but 0") }
            database = number
        case "replicas":
            guard let count = Int(value), (0...100).contains(count) else {
                throw .url("replicas is \"\(value)\" but must be a number from 0 to 100")
            }
            replicaCountMin = count
        case "sentinel-user", "sentinel-password-file":
            guard case .sentinel = topology else {
                throw .url("the option \"\(name)\" needs the scheme redis+sentinel")
            }
            if name == "sentinel-user" {
                sentinelUser = value
            } else {
                sentinelPassword = try Self.password(file: value)
            }
        case "password-file":
            guard password == nil else { return }
            password = try Self.password(file: value)
        default:
            guard var tls else {
                throw .url("the option \"\(name)\" is for TLS and needs a scheme that begins with rediss")
            }
            switch name {
            case "ca": tls.caFile = value
            case "cert": tls.certificateFile = value
            case "key": tls.keyFile = value
            default:
                guard let verification = TLS.Verification(rawValue: value) else {
                    throw .url("verify is \"\(value)\" but must be full or none")
                }
                tls.verification = verification
            }
            self.tls = tls
        }
    }

    static func database(_ text: String) throws(RedisError) -> Int {
        guard let number = Int(text), (0...65_535).contains(number) else {
            throw .url("the database \"\(text)\" is not a number from 0")
        }
        return number
    }

    private static func password(file: String) throws(RedisError) -> Password {
        switch readSmallFile(path: file, sizeBytesMax: 4096) {
        case .failure(let failure):
            throw RedisError(
                .invalidConfiguration,
                "the password file \(file) cannot be read: \(failure.text); check ?password-file=")
        case .success(let bytes):
            let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
            guard !line.isEmpty else {
                throw RedisError(.invalidConfiguration, "the password file \(file) has no password in its first line")
            }
            return Password(String(decoding: line, as: UTF8.self))
        }
    }
}

extension RedisError {
    static func url(_ problem: String) -> RedisError {
        RedisError(
            .invalidConfiguration,
            "the Redis URL cannot be used: \(problem). Expected: \(RedisConfiguration.expectedForms)")
    }
}
