/// Where an object lies: enough to fetch it and to count the references to it, and nothing secret.
public struct ObjectReference: Hashable, Sendable {
    /// The store's name; its local configuration (credentials included) is found by it.
    public let store: String
    /// The connector's kind: `memory`, `file`, `redis`, …
    public let kind: String
    /// The connector's public address.
    public let address: String
    public let key: String
    /// Size of the encoded object.
    public let sizeBytes: Int
    /// True if the exchange deletes the object when the last reference to it is gone.
    public let isManaged: Bool
    /// The site whose store it is; nil for the site at hand.
    public let site: String?

    package static let kindSizeBytesMax = 32
    package static let addressSizeBytesMax = 1024

    /// Throws ``StoreError/Code/invalidArgument`` if a part is malformed, as parts that come over a wire may be.
    public init(
        store: String, kind: String, address: String, key: String, sizeBytes: Int, isManaged: Bool = false,
        site: String? = nil
    ) throws(StoreError) {
        try ObjectName.validate(storeName: store)
        try ObjectName.validate(key: key)
        guard ObjectName.isValid(kind, sizeBytesMax: Self.kindSizeBytesMax) else {
            throw StoreError(.invalidArgument, "object \(store)/\(key) names no connector kind")
        }
        guard address.utf8.count <= Self.addressSizeBytesMax && sizeBytes >= 0 else {
            throw StoreError(
                .invalidArgument,
                "object \(store)/\(key) has an address over \(Self.addressSizeBytesMax) bytes or a negative size")
        }
        if let site, !ObjectName.isSite(site) {
            throw StoreError(.invalidArgument, "object \(store)/\(key) names a site that cannot be one")
        }
        self.store = store
        self.kind = kind
        self.address = address
        self.key = key
        self.sizeBytes = sizeBytes
        self.isManaged = isManaged
        self.site = site
    }

    private init(_ other: ObjectReference, site: String?, isManaged: Bool) {
        store = other.store
        kind = other.kind
        address = other.address
        key = other.key
        sizeBytes = other.sizeBytes
        self.isManaged = isManaged
        self.site = site
    }

    /// What references are counted by: `store/key`, and `site:NAME/store/key` at another site. No store's name holds a colon,
    /// so the one is never taken for the other.
    public var id: String { site.map { "\(Self.siteMark)\($0)/\(store)/\(key)" } ?? "\(store)/\(key)" }

    /// How the ids of objects at other sites begin.
    package static let siteMark = "site:"
}

extension ObjectReference {
    /// With the site's name, if it has none yet.
    package func named(site name: String?) -> ObjectReference {
        guard site == nil, let name else { return self }
        return ObjectReference(self, site: name, isManaged: isManaged)
    }

    /// Without a site's name, if it is this one.
    package func localized(at name: String?) -> ObjectReference {
        guard let site, site == name else { return self }
        return ObjectReference(self, site: nil, isManaged: isManaged)
    }

    /// Managed only if the exchange counts it, where it is this site's.
    fileprivate func believed(by arriving: ArrivingReferences?) -> ObjectReference {
        guard let arriving, isManaged, site == nil, !arriving.isCounted(id) else { return self }
        return ObjectReference(self, site: nil, isManaged: false)
    }
}

extension ObjectReference: CustomStringConvertible {
    public var description: String { "\(id), \(ByteCount.text(sizeBytes)), in \(place)" }

    /// Where it lies, for people.
    package var place: String { "\(kind) at \(address)" + (site.map { " of site \($0)" } ?? "") }
}

/// Where the name of the site at hand is known, from the coder's ``StoreRegistry``, a reference is written with it, so that it
/// means the same object wherever it is read; and what is read as an object of the site at hand is local again.
extension ObjectReference: Codable {
    enum CodingKeys: String, CodingKey {
        case store = "s"
        case kind = "c"
        case address = "a"
        case key = "k"
        case sizeBytes = "z"
        case isManaged = "m"
        case site = "e"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let read = try ObjectReference(
            store: container.decode(String.self, forKey: .store), kind: container.decode(String.self, forKey: .kind),
            address: container.decode(String.self, forKey: .address), key: container.decode(String.self, forKey: .key),
            sizeBytes: container.decode(Int.self, forKey: .sizeBytes),
            isManaged: container.decodeIfPresent(Bool.self, forKey: .isManaged) ?? false,
            site: container.decodeIfPresent(String.self, forKey: .site))
        // What an object of another site refers to lies there, unless it says otherwise.
        self = read.named(site: decoder.userInfo[.objectHome] as? String)
            .localized(at: (decoder.userInfo[.storeRegistry] as? StoreRegistry)?.siteName)
            .believed(by: decoder.userInfo[.arrivingReferences] as? ArrivingReferences)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(store, forKey: .store)
        try container.encode(kind, forKey: .kind)
        try container.encode(address, forKey: .address)
        try container.encode(key, forKey: .key)
        try container.encode(sizeBytes, forKey: .sizeBytes)
        if isManaged { try container.encode(true, forKey: .isManaged) }
        try container.encodeIfPresent(
            site ?? (encoder.userInfo[.storeRegistry] as? StoreRegistry)?.siteName, forKey: .site)
    }
}

/// Sizes for people: `7.6 MiB`.
package enum ByteCount {
    package static func text(_ bytes: Int) -> String {
        guard bytes >= 1024 else { return "\(bytes) B" }
        var tenths = bytes
        var unit = 0
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        while tenths >= 1024 * 1024 && unit < units.count - 1 {
            tenths /= 1024
            unit += 1
        }
        let fraction = (tenths % 1024) * 10 / 1024
        return "\(tenths / 1024).\(fraction) \(units[unit])"
    }
}
