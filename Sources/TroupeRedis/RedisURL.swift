extension RedisConfiguration {
    package static let expectedForms = """
        redis://[user[:password]@]host[:port][/db][?prefix=…], rediss://… (TLS; ?ca=FILE&cert=FILE&key=FILE&\
        verify=full|none) or redis+unix:///path/to.sock[?db=N]
        """

    /// The variable that holds the password when the URL and its `password-file` do not.
    public static let passwordVariable = "TROUPE_REDIS_PASSWORD"

    private static let ownOptions: Set<String> = ["prefix", "db", "password-file", "ca", "cert", "key", "verify"]

    /// Reads a URL of one of these forms; parts may be percent-encoded:
    ///
    ///     redis://[user[:password]@]host[:port][/db][?prefix=…]
    ///     rediss://…                             the same with TLS; also ?ca=FILE&cert=FILE&key=FILE&verify=full|none
    ///     redis+unix:///path/to.sock[?db=N]
    ///
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
        if parts.scheme == "rediss" { tls = TLS() }
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
            database = try Self.database(value)
        case "password-file":
            guard password == nil else { return }
            password = try Self.password(file: value)
        default:
            guard var tls else { throw .url("the option \"\(name)\" is for TLS and needs the scheme rediss") }
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

    private static func database(_ text: String) throws(RedisError) -> Int {
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

/// A URL taken apart and percent-decoded.
struct RedisURLParts {
    var scheme = ""
    var user = ""
    var password: String?
    var host = ""
    var port: String?
    var path = ""
    var options: [(name: String, value: String)] = []

    init(_ url: String) throws(RedisError) {
        guard let schemeEnd = url.firstRange(of: "://") else { throw .url("it has no scheme") }
        scheme = url[..<schemeEnd.lowerBound].lowercased()
        guard !url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "#") }) else {
            throw .url("it has blanks, control characters or '#'; percent-encode them")
        }
        var rest = url[schemeEnd.upperBound...]
        // Else a password cut in two would pass for a host and a port, and errors would show them.
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard scheme == "redis+unix" || authority.contains("@") || !rest.contains("@") else {
            throw .url("an '@' follows a '/' or '?'; percent-encode these in user, password and options")
        }
        if let mark = rest.firstIndex(of: "?") {
            try readOptions(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        if let slash = rest.firstIndex(of: "/") {
            path = try Self.decode(rest[slash...], "path")
            rest = rest[..<slash]
        }
        if let at = rest.lastIndex(of: "@") {
            try readUser(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        try readHost(rest)
    }

    /// The host and port.
    func tcpAddress() throws(RedisError) -> RedisConfiguration.Address {
        guard !host.isEmpty else { throw .url("it has no host") }
        guard let port else { return .tcp(host: host, port: RedisConfiguration.defaultPort) }
        guard let number = Int(port), (1...65_535).contains(number) else {
            throw .url("the port \"\(port)\" is not a number from 1 to 65535")
        }
        return .tcp(host: host, port: number)
    }

    private mutating func readUser(_ text: Substring) throws(RedisError) {
        guard let colon = text.firstIndex(of: ":") else {
            user = try Self.decode(text, "user")
            return
        }
        user = try Self.decode(text[..<colon], "user")
        password = try Self.decode(text[text.index(after: colon)...], "password")
    }

    private mutating func readHost(_ text: Substring) throws(RedisError) {
        var rest = text
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { throw .url("the IPv6 host lacks its ']'") }
            host = String(text[text.index(after: text.startIndex)..<close])
            rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { throw .url("only a port may follow the ']' of a host") }
        } else {
            let name = text.prefix { $0 != ":" }
            host = try Self.decode(name, "host")
            rest = text[name.endIndex...]
        }
        if !rest.isEmpty { port = String(rest.dropFirst()) }
    }

    private mutating func readOptions(_ text: Substring) throws(RedisError) {
        for option in text.split(separator: "&") {
            guard let equals = option.firstIndex(of: "=") else {
                throw .url("the option \"\(option)\" has no value")
            }
            let name = try Self.decode(option[..<equals], "name of an option")
            guard !options.contains(where: { $0.name == name }) else {
                throw .url("the option \"\(name)\" stands there twice")
            }
            options.append((name, try Self.decode(option[option.index(after: equals)...], "option \"\(name)\"")))
        }
    }

    private static func decode(_ text: Substring, _ part: String) throws(RedisError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                throw .url("in the \(part), two hexadecimal digits must follow each '%'")
            }
            bytes.append(high * 16 + low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw .url("the \(part) does not decode to text")
        }
        return decoded
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        Character(UnicodeScalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}
