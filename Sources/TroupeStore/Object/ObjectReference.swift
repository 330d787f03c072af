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

    package static let kindSizeBytesMax = 32
    package static let addressSizeBytesMax = 1024

    /// Throws ``StoreError/Code/invalidArgument`` if a part is malformed, as parts that come over a wire may be.
    public init(
        store: String, kind: String, address: String, key: String, sizeBytes: Int, isManaged: Bool = false
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
        self.store = store
        self.kind = kind
        self.address = address
        self.key = key
        self.sizeBytes = sizeBytes
        self.isManaged = isManaged
    }

    /// `store/key`: what references are counted by.
    public var id: String { "\(store)/\(key)" }
}

extension ObjectReference: CustomStringConvertible {
    public var description: String { "\(id), \(ByteCount.text(sizeBytes)), in \(kind) at \(address)" }
}

extension ObjectReference: Codable {
    enum CodingKeys: String, CodingKey {
        case store = "s"
        case kind = "c"
        case address = "a"
        case key = "k"
        case sizeBytes = "z"
        case isManaged = "m"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            store: container.decode(String.self, forKey: .store), kind: container.decode(String.self, forKey: .kind),
            address: container.decode(String.self, forKey: .address), key: container.decode(String.self, forKey: .key),
            sizeBytes: container.decode(Int.self, forKey: .sizeBytes),
            isManaged: container.decodeIfPresent(Bool.self, forKey: .isManaged) ?? false)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(store, forKey: .store)
        try container.encode(kind, forKey: .kind)
        try container.encode(address, forKey: .address)
        try container.encode(key, forKey: .key)
        try container.encode(sizeBytes, forKey: .sizeBytes)
        if isManaged { try container.encode(true, forKey: .isManaged) }
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
