package import NIOCore

/// Where a process listens: a name or a number, and a port. Written `host:port`, with brackets around an IPv6 number.
package struct HostPort: Sendable, Hashable, CustomStringConvertible {
    package var host: String
    package var port: Int

    package init(_ host: String, _ port: Int) {
        self.host = host
        self.port = port
    }

    package init(parsing text: String) throws(EndpointError) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else { throw Self.malformed(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw Self.malformed(text)
        }
        guard !host.isEmpty, host.allSatisfy({ !$0.isWhitespace && $0 != "[" && $0 != "]" }) else {
            throw Self.malformed(text)
        }
        self.init(String(host), port)
    }

    private static func malformed(_ text: String) -> EndpointError {
        EndpointError(
            .invalidArgument,
            "'\(text.prefix(100))' is no address: write host:port, and an IPv6 number in brackets, as in [::1]:7700")
    }

    /// - Returns: nil for addresses that have no port.
    package init?(_ address: SocketAddress?) {
        guard let address, let host = address.ipAddress, let port = address.port else { return nil }
        self.init(host, port)
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
