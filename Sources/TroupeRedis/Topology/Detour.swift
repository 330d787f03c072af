/// What an error of the server asks for that only says: not here, or not now. The command was not executed.
enum Detour: Hashable, Sendable {
    /// Another server is in charge; its address if it is known.
    case elsewhere(RedisConfiguration.Address?)
    /// The same server may take it soon.
    case later
    /// The server does not know our functions (any more).
    case loadFunctions

    /// Nil for an error that stands.
    ///
    /// A slot that is being moved (`ASK`, `TRYAGAIN`) is waited for rather than followed: of a shard's keys some are
    /// here and some there meanwhile, and a script needs them all.
    init?(_ text: String, _ topology: RedisConfiguration.Topology) {
        let words = text.split(separator: " ")
        switch (words.first ?? "", topology) {
        case ("ERR", _) where text.hasPrefix("ERR Function not found"): self = .loadFunctions
        case ("ASK", _), ("TRYAGAIN", _), ("CLUSTERDOWN", _), ("LOADING", _), ("BUSY", _), ("MASTERDOWN", _):
            self = .later
        case ("MOVED", .cluster): self = .elsewhere(words.count > 2 ? Self.address(words[2]) : nil)
        case ("READONLY", .sentinel), ("READONLY", .cluster), ("UNBLOCKED", _): self = .elsewhere(nil)
        default: return nil
        }
    }

    /// `host:port`; nil where the cluster does not tell the host.
    private static func address(_ text: Substring) -> RedisConfiguration.Address? {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port), colon > text.startIndex, text[..<colon] != "?"
        else { return nil }
        return .tcp(host: String(text[..<colon]), port: port)
    }
}
