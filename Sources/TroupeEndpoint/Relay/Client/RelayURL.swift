import Foundation

/// Where a relay is: `wss://host[:port][/path]`, or `ws://…` without TLS.
///
/// The relay's own name is that host, unless `?name=NAME` says another; it is part of what an endpoint signs, so a relay that
/// calls itself something else gets no login.
package struct RelayURL: Sendable, Hashable, CustomStringConvertible {
    package let description: String
    let isTLS: Bool
    let host: String
    let port: Int
    /// Before the relay's own paths; empty or with a slash in front and none behind.
    let path: String
    let name: String

    package init(_ text: String) throws(EndpointError) {
        func wrong(_ what: String) -> EndpointError {
            EndpointError(
                .invalidArgument,
                "'\(text.prefix(200))' is no relay's URL: \(what); it looks like wss://relay.example.org")
        }
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased() else {
            throw wrong("it has no scheme")
        }
        guard ["wss", "ws"].contains(scheme) else { throw wrong("its scheme is '\(scheme)'") }
        guard let host = parts.host, !host.isEmpty else { throw wrong("it has no host") }
        guard parts.user == nil, parts.password == nil, parts.fragment == nil else {
            throw wrong("it takes no user, password or fragment")
        }
        let items = parts.queryItems ?? []
        guard items.allSatisfy({ $0.name == "name" && $0.value?.isEmpty == false }), items.count <= 1 else {
            throw wrong("it takes no parameter but ?name=NAME")
        }
        isTLS = scheme == "wss"
        self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        port = parts.port ?? (isTLS ? 443 : 80)
        guard (1...65535).contains(port) else { throw wrong("its port is \(port)") }
        path = parts.path.hasSuffix("/") ? String(parts.path.dropLast()) : parts.path
        name = items.first?.value ?? self.host
        description = text
    }

    /// As HTTP names it.
    var authority: String {
        let host = host.contains(":") ? "[\(host)]" : host
        return port == (isTLS ? 443 : 80) ? host : "\(host):\(port)"
    }
}

/// An HTTP proxy that lets connections through (CONNECT, RFC 9110 §9.3.6).
package struct RelayProxy: Sendable, Hashable {
    package let host: String
    package let port: Int
    /// `user:password`, if the proxy asks for them.
    let credentials: String?

    /// Reads `http://[user:password@]host[:port]`; the scheme may be left out.
    package init(_ text: String) throws(EndpointError) {
        let full = text.contains("://") ? text : "http://" + text
        guard let parts = URLComponents(string: full), parts.scheme?.lowercased() == "http", let host = parts.host,
            !host.isEmpty
        else {
            // A password may be in it, so it is not repeated.
            throw EndpointError(
                .invalidArgument, "the HTTP proxy's URL cannot be read; it looks like http://proxy:3128")
        }
        self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        port = parts.port ?? 80
        guard (1...65535).contains(port) else {
            throw EndpointError(.invalidArgument, "the HTTP proxy's port is \(port), and ports are 1 to 65535")
        }
        credentials = parts.user.map { "\($0):\(parts.password ?? "")" }
    }

    /// The proxy that the environment names for a relay, as other programs understand it: `https_proxy` for TLS, else
    /// `http_proxy`, and none for the hosts and domains of `no_proxy`.
    package static func inherited(
        for url: RelayURL, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(EndpointError) -> RelayProxy? {
        func value(_ name: String) -> String? {
            [environment[name], environment[name.uppercased()]].compactMap { $0 }.first { !$0.isEmpty }
        }
        guard let text = value(url.isTLS ? "https_proxy" : "http_proxy") else { return nil }
        for entry in (value("no_proxy") ?? "").split(separator: ",") {
            let domain = entry.trimmingCharacters(in: .whitespaces)
            let suffix = domain.hasPrefix(".") ? domain : "." + domain
            if domain == "*" || url.host == domain || (!domain.isEmpty && url.host.hasSuffix(suffix)) { return nil }
        }
        return try RelayProxy(text)
    }
}
