/// A site that this one knows, and what it may do here.
package struct TrustedPeer: Hashable, Sendable {
    package var site: String
    package var id: EndpointID
    /// Where its endpoint can be reached directly, as `host:port`.
    package var addresses: [String] = []
    package var policy = SitePolicy()

    package init(site: String, id: EndpointID, addresses: [String] = []) {
        self.site = site
        self.id = id
        self.addresses = addresses
    }
}

/// The sites that an endpoint knows: a line for each, words apart by spaces, `#` begins a comment.
///
///     lab-b  gxzl…7a  address=198.51.100.7:7700  calls=Counter,Aggregator.add(_:)  operations=spawn  stores=objects
///
/// Whoever is not in it is nobody.
package struct TrustFile: Hashable, Sendable {
    package private(set) var peers: [TrustedPeer] = []
    /// The text, so that comments survive a change.
    private var lines: [String] = []

    static let countMax = 10_000
    static let siteNameSizeBytesMax = 63

    package init() {}

    /// - Parameter name: the file's name, for messages.
    package init(parsing text: String, name: String) throws(EndpointError) {
        lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
        if lines.last?.isEmpty == true { lines.removeLast() }
        for (index, line) in lines.enumerated() {
            guard let peer = try Self.peer(in: line, place: "\(name):\(index + 1)") else { continue }
            guard !peers.contains(where: { $0.site == peer.site || $0.id == peer.id }) else {
                throw EndpointError(
                    .invalidArgument, "\(name):\(index + 1): site '\(peer.site)' or its key is there already")
            }
            peers.append(peer)
        }
        guard peers.count <= Self.countMax else {
            throw EndpointError(.invalidArgument, "\(name) has \(peers.count) sites; \(Self.countMax) is the most")
        }
    }

    package var text: String { lines.map { $0 + "\n" }.joined() }

    package func peer(at site: String) -> TrustedPeer? { peers.first { $0.site == site } }
    package func peer(_ id: EndpointID) -> TrustedPeer? { peers.first { $0.id == id } }

    /// Adds a site, or replaces its line.
    package mutating func set(_ peer: TrustedPeer) {
        let line = Self.line(of: peer)
        if let index = lines.firstIndex(where: { (try? Self.peer(in: $0, place: ""))?.site == peer.site }) {
            lines[index] = line
        } else {
            lines.append(line)
        }
        peers.removeAll { $0.site == peer.site }
        peers.append(peer)
    }

    /// - Returns: whether it was there.
    package mutating func remove(site: String) -> Bool {
        guard peers.contains(where: { $0.site == site }) else { return false }
        lines.removeAll { (try? Self.peer(in: $0, place: ""))?.site == site }
        peers.removeAll { $0.site == site }
        return true
    }

    /// Checks a site's name: 1 to 63 of `a–z 0–9 . _ -`, as in the host part of a handle.
    package static func checkSite(_ name: String) throws(EndpointError) {
        let isValid =
            (1...siteNameSizeBytesMax).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D
            }
        guard isValid else {
            throw EndpointError(
                .invalidArgument,
                "'\(name.prefix(70))' is no name for a site: it takes 1 to 63 of a-z, 0-9, '.', '_' and '-'")
        }
    }

    /// Checks a name that a line is to hold, of a type, a method or a store.
    package static func checkWord(_ word: String) throws(EndpointError) {
        guard !word.isEmpty, !word.contains(where: { $0.isWhitespace || $0 == "#" }) else {
            throw EndpointError(.invalidArgument, "'\(word)' is no name: it is empty, or has a space or a '#' in it")
        }
    }

    // MARK: Lines

    private static func peer(in line: String, place: String) throws(EndpointError) -> TrustedPeer? {
        let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let site = words.first else { return nil }
        func wrong(_ what: String) -> EndpointError { EndpointError(.invalidArgument, "\(place): \(what)") }
        guard words.count >= 2 else { throw wrong("a site's line is SITE ENDPOINT-ID [address=HOST:PORT,…] [calls=…]") }
        var peer: TrustedPeer
        do throws(EndpointError) {
            try checkSite(site)
            peer = TrustedPeer(site: site, id: try EndpointID(parsing: words[1]))
        } catch {
            throw wrong(error.message)
        }
        for word in words.dropFirst(2) {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw wrong("'\(word)' is not NAME=VALUE") }
            let values = parts[1].split(separator: ",").map(String.init)
            switch parts[0] {
            case "address": peer.addresses = values
            case "calls": peer.policy.calls = Set(values)
            case "stores": peer.policy.stores = Set(values)
            case "operations":
                guard let operations = SitePolicy.Operations(rawValue: parts[1]) else {
                    throw wrong("operations= takes none, look, spawn or operate")
                }
                peer.policy.operations = operations
            default: throw wrong("'\(parts[0])=' is not known: address, calls, operations, stores are")
            }
        }
        return peer
    }

    private static func line(of peer: TrustedPeer) -> String {
        var words = [peer.site, peer.id.text]
        if !peer.addresses.isEmpty { words.append("address=\(peer.addresses.joined(separator: ","))") }
        if peer.policy.calls != ["*"] { words.append("calls=\(peer.policy.calls.sorted().joined(separator: ","))") }
        if peer.policy.operations != .look { words.append("operations=\(peer.policy.operations.rawValue)") }
        if peer.policy.stores != ["*"] { words.append("stores=\(peer.policy.stores.sorted().joined(separator: ","))") }
        return words.joined(separator: "  ")
    }
}
