/// A URL taken apart and percent-decoded.
struct RedisURLParts {
    var scheme = ""
    var user = ""
    var password: String?
    var host = ""
    var port: String?
    /// Further hosts, separated by commas.
    var further: [(host: String, port: String?)] = []
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
        let hosts = rest.split(separator: ",", omittingEmptySubsequences: false)
        (host, port) = try Self.hostAndPort(hosts[0])
        for text in hosts.dropFirst() { further.append(try Self.hostAndPort(text)) }
    }

    /// The host and port.
    func tcpAddress() throws(RedisError) -> RedisConfiguration.Address {
        guard further.isEmpty else { throw .url("only redis+sentinel and redis+cluster take several hosts") }
        return try Self.address(host, port, defaultPort: RedisConfiguration.defaultPort)
    }

    static func address(
        _ host: String, _ port: String?, defaultPort: Int
    ) throws(RedisError) -> RedisConfiguration.Address {
        guard !host.isEmpty else { throw .url("it has no host") }
        guard let port else { return .tcp(host: host, port: defaultPort) }
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

    private static func hostAndPort(_ text: Substring) throws(RedisError) -> (host: String, port: String?) {
        let host: String
        var rest = text
        if text.first == "[" {
            guard let close = text.firstIndex(of: "]") else { throw .url("the IPv6 host lacks its ']'") }
            host = String(text[text.index(after: text.startIndex)..<close])
            rest = text[text.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { throw .url("only a port may follow the ']' of a host") }
        } else {
            let name = text.prefix { $0 != ":" }
            host = try decode(name, "host")
            rest = text[name.endIndex...]
        }
        return (host, rest.isEmpty ? nil : String(rest.dropFirst()))
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
