/// Takes a broker URL apart.
struct AddressParser {
    private let scheme: Substring
    private let rest: Substring
    private let query: Substring?
    /// The URL without what may be secret in it.
    private let shown: String

    init(_ url: String) throws(BrokerError) {
        let parts = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let head = parts.first ?? ""
        query = parts.count > 1 ? parts[1] : nil
        let colon = head.firstIndex(of: ":")
        let scheme = colon.map { head[..<$0] } ?? ""
        self.scheme = scheme
        rest = colon.map { head[head.index(after: $0)...] } ?? ""
        let hiddenFrom = head.lastIndex(of: "@").map { head.index(after: $0) }
        shown = hiddenFrom.map { "\(scheme)://…@\(head[$0...])" } ?? String(head)
        if colon == nil { throw failure("it has no scheme") }
        if head.contains("@") && ["tcp", "tls+tcp", "ws"].contains(scheme) {
            throw failure("it has user info; the token is set by TROUPE_TOKEN or token-file=PATH")
        }
        if head.contains("#") { throw failure("it has a fragment (#)") }
    }

    func failure(_ what: String) -> BrokerError {
        let forms =
            "embedded:[DIR], inproc://NAME, ipc:///PATH, tcp://HOST:PORT, tls+tcp://HOST:PORT?ca=FILE, ws://HOST:PORT/PATH"
        return BrokerError(
            .invalidAddress, "“\(shown)” is no address of a broker: \(what). Addresses look like \(forms).")
    }

    func place() throws(BrokerError) -> BrokerAddress.Place {
        switch scheme {
        case "embedded":
            if rest.hasPrefix("//") && !rest.hasPrefix("///") { throw failure("embedded: takes a directory, no host") }
            let path = try decoded(rest.hasPrefix("///") ? rest.dropFirst(2) : rest)
            return .embedded(directory: path.isEmpty ? nil : path)
        case "inproc":
            let name = try afterSlashes()
            if name.isEmpty || name.utf8.count > 100 { throw failure("the name is empty or longer than 100 bytes") }
            return .inproc(name: String(name))
        case "ipc":
            let path = try decoded(afterSlashes())
            if !path.hasPrefix("/") { throw failure("the path of the socket is not absolute (three slashes)") }
            try checkSocketPath(path)
            return .ipc(path: path)
        case "tcp":
            let (host, port) = try hostAndPort(afterSlashes())
            return .tcp(host: host, port: port)
        case "tls+tcp":
            let (host, port) = try hostAndPort(afterSlashes())
            return .tls(host: host, port: port)
        case "ws":
            let text = try afterSlashes()
            let slash = text.firstIndex(of: "/") ?? text.endIndex
            let (host, port) = try hostAndPort(text[..<slash])
            return .ws(host: host, port: port, path: slash == text.endIndex ? "/" : String(text[slash...]))
        default:
            throw failure("the scheme “\(scheme)” is not known")
        }
    }

    private func afterSlashes() throws(BrokerError) -> Substring {
        guard rest.hasPrefix("//") else { throw failure("“//” is missing after “\(scheme):”") }
        return rest.dropFirst(2)
    }

    private func checkSocketPath(_ path: String) throws(BrokerError) {
        guard path.utf8.count > SocketPath.bytesMax else { return }
        throw failure(
            "the path of the socket has \(path.utf8.count) bytes, and the system takes \(SocketPath.bytesMax)")
    }

    private func hostAndPort(_ text: Substring) throws(BrokerError) -> (String, UInt16) {
        guard let colon = text.lastIndex(of: ":"), case let digits = text[text.index(after: colon)...],
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits)
        else {
            throw failure("a port from 0 to 65535 is missing")
        }
        var host = text[..<colon]
        if host.hasPrefix("[") && host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw failure("an IPv6 host is written in brackets")
        }
        if host.isEmpty || host.contains("/") || host.contains(" ") {
            throw failure("the host is missing or malformed")
        }
        return (String(host), port)
    }

    mutating func options() throws(BrokerError) -> [(name: String, value: String)] {
        var found: [(name: String, value: String)] = []
        for part in (query ?? "").split(separator: "&") {
            guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
                throw failure("its options are not NAME=VALUE")
            }
            let name = String(part[..<equals])
            let value = try decoded(part[part.index(after: equals)...])
            if value.isEmpty { throw failure("the option \(name)= is empty") }
            if found.contains(where: { $0.name == name }) { throw failure("the option \(name)= is given twice") }
            found.append((name, value))
        }
        return found
    }

    private func decoded(_ text: Substring) throws(BrokerError) -> String {
        var bytes: [UInt8] = []
        var left = Substring(text).utf8
        while let byte = left.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = left.prefix(2)
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), value != 0
            else {
                throw failure("it holds a % that two hexadecimal digits do not follow")
            }
            bytes.append(value)
            left = left.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw failure("it holds bytes that are no text")
        }
        return decoded
    }
}

/// What the system says about the paths of sockets.
enum SocketPath {
    /// `sun_path` has 108 bytes, the last of which is a zero.
    static let bytesMax = 107
}
