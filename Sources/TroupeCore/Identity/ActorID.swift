/// The name of an actor: where it lives, what it is, and what it is called.
///
/// Written `troupe://<site>/<type>/<name>`; the empty site is the local one and is left out of ``key``. An actor's id is
/// all that a handle carries, so it can be stored, sent and used later by another process.
public struct ActorID: Hashable, Sendable {
    /// The site that hosts the actor; empty for the local site.
    public let site: String
    /// The actor type's stable wire name.
    public let type: String
    /// The actor's name, unique among the actors of its type and site.
    public let name: String

    /// The mailbox by which an exchange keys what is sent to the actor: `type/name`, or, for an actor of another site,
    /// `@site/<site>`, the mailbox that the endpoint brings there.
    public let key: String

    package static let partBytesMax = 200

    /// The type of the mailboxes in which waits what is sent to other sites. No type of an actor begins with `@`.
    package static let siteType = "@site"

    /// The pool of endpoints, which carry those mailboxes and those of actors that have moved.
    package static let carrierPool = "@endpoint"

    /// Whether this is the mailbox of what is sent to a site. What waits there is not run here, so that the death of
    /// whoever carries it says nothing of it.
    package var isSiteMailbox: Bool { site.isEmpty && type == Self.siteType }

    /// The mailbox of what is sent to a site.
    package init(mailboxOfSite site: String) throws(ExchangeError) {
        try self.init(type: Self.siteType, name: site)
    }

    /// Checks the parts: 1 to 200 UTF-8 bytes each (the site may be empty), no control characters, no `/` in site and type.
    public init(site: String = "", type: String, name: String) throws(ExchangeError) {
        try Self.check(site, "site", mayBeEmpty: true, mayHoldSlash: false)
        try Self.check(type, "type", mayBeEmpty: false, mayHoldSlash: false)
        try Self.check(name, "name", mayBeEmpty: false, mayHoldSlash: true)
        self.init(checkedSite: site, type: type, name: name)
    }

    /// Reads `type/name` or `troupe://site/type/name`.
    public init(parsing text: String) throws(ExchangeError) {
        var rest = Substring(text)
        var site = ""
        if rest.hasPrefix("troupe://") {
            rest = rest.dropFirst("troupe://".count)
            guard let slash = rest.firstIndex(of: "/") else { throw Self.malformed(text) }
            site = String(rest[..<slash])
            rest = rest[rest.index(after: slash)...]
        }
        guard let slash = rest.firstIndex(of: "/") else { throw Self.malformed(text) }
        try self.init(site: site, type: String(rest[..<slash]), name: String(rest[rest.index(after: slash)...]))
    }

    private init(checkedSite site: String, type: String, name: String) {
        self.site = site
        self.type = type
        self.name = name
        self.key = site.isEmpty ? "\(type)/\(name)" : "\(Self.siteType)/\(site)"
    }

    private static func malformed(_ text: String) -> ExchangeError {
        ExchangeError(
            .invalidArgument, "'\(text.prefix(80))' is not an actor id; write TYPE/NAME or troupe://SITE/TYPE/NAME")
    }

    private static func check(
        _ part: String, _ what: String, mayBeEmpty: Bool, mayHoldSlash: Bool
    ) throws(ExchangeError) {
        let bytes = part.utf8
        guard mayBeEmpty || !bytes.isEmpty else {
            throw ExchangeError(.invalidArgument, "an actor id needs a \(what), and this one is empty")
        }
        guard bytes.count <= partBytesMax else {
            throw ExchangeError(
                .invalidArgument,
                "the \(what) '\(part.prefix(40))…' of an actor id is longer than \(partBytesMax) bytes")
        }
        for byte in bytes where byte < 0x20 || byte == 0x7F || (byte == UInt8(ascii: "/") && !mayHoldSlash) {
            throw ExchangeError(
                .invalidArgument,
                "the \(what) of an actor id may not hold control characters\(mayHoldSlash ? "" : " or '/'")")
        }
    }
}

extension ActorID: CustomStringConvertible {
    public var description: String { site.isEmpty ? key : "troupe://\(site)/\(type)/\(name)" }
}

/// Inside values that travel, an id of the local site is written with the site's name if that is known, so that it means the
/// same actor wherever it is read; and what is read as an id of the local site is local again.
extension ActorID: Codable {
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: decoder.singleValueContainer().decode(String.self))
        guard !site.isEmpty, let local = decoder.userInfo[.localSite] as? LocalSiteName else { return }
        self = local.localized(self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if site.isEmpty, let name = (encoder.userInfo[.localSite] as? LocalSiteName)?.name {
            try container.encode("troupe://\(name)/\(key)")
        } else {
            try container.encode(description)
        }
    }
}

extension ActorID: Comparable {
    /// By the UTF-8 bytes of ``key``, as every host of the exchange sorts.
    public static func < (left: ActorID, right: ActorID) -> Bool { left.key.precedesInBytes(right.key) }
}

extension String {
    /// Byte order of UTF-8, the order of Redis and SQLite; Swift's own `<` compares by canonical equivalence.
    package func precedesInBytes(_ other: String) -> Bool { utf8.lexicographicallyPrecedes(other.utf8) }
}

extension ActorID {
    /// The id of an instance that no exchange knows.
    package init(unmanaged type: String) {
        let random = UInt64.random(in: .min ... .max)
        self.init(checkedSite: "", type: type, name: "unmanaged-\(String(random, radix: 36))")
    }
}
