/// The wire form of a proxy, version 1: a map that is recognised by its key `~proxy`, whose value is the version.
///
///     "~proxy"  1
///     "t"       type name, absent if none
///     "o"       stored: the object: a map of "s" store, "c" connector kind, "a" address, "k" key, "z" size in bytes,
///               "m" true if managed, and "e" the site whose store it is (absent if it has no name)
///     "l"       stored numeric array: [RFC 8746 tag, bytes before the first element, count]
///     "v"       inline: the encoded value, a byte string
///     "f"       outcome of a call: a map of "i" call id and "e" exchange (absent for the one at hand)
///
/// Exactly one of "o", "v" and "f" is there. Keys not listed are ignored.
enum ProxyWire {
    static let version = 1
    static let inlineSizeBytesMax = 1 << 20
    static let typeNameSizeBytesMax = 512

    enum CodingKeys: String, CodingKey {
        case version = "~proxy"
        case typeName = "t"
        case object = "o"
        case layout = "l"
        case inline = "v"
        case outcome = "f"
    }
}

extension Proxy: Codable {
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: ProxyWire.CodingKeys.self)
        try container.encode(ProxyWire.version, forKey: .version)
        if !typeName.isEmpty && typeName.utf8.count <= ProxyWire.typeNameSizeBytesMax {
            try container.encode(typeName, forKey: .typeName)
        }
        switch origin {
        case .stored(let reference):
            let registry = encoder.userInfo[.storeRegistry] as? StoreRegistry
            ReferenceCollector.of(encoder)?.add(reference.localized(at: registry?.siteName))
            try container.encode(reference, forKey: .object)
            if let layout {
                try container.encode(
                    [layout.tag, UInt64(layout.payloadOffset), UInt64(layout.count)].map(WireInteger.init),
                    forKey: .layout)
            }
        case .inline(let bytes):
            guard bytes.count <= ProxyWire.inlineSizeBytesMax else {
                throw StoreError(
                    .tooLarge,
                    "an inline proxy carries \(bytes.count) bytes and the limit is \(ProxyWire.inlineSizeBytesMax): "
                        + "put the value into a store")
            }
            try container.encode(bytes, forKey: .inline)
        case .outcome(let outcome):
            ReferenceCollector.of(encoder)?.add(outcome)
            try container.encode(outcome, forKey: .outcome)
        }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: ProxyWire.CodingKeys.self)
        let version = try container.decode(Int.self, forKey: .version)
        guard version == ProxyWire.version else {
            throw DecodingError.dataCorruptedError(
                forKey: .version, in: container,
                debugDescription: "a proxy of version \(version); this program reads version \(ProxyWire.version)")
        }
        let typeName = try container.decodeIfPresent(String.self, forKey: .typeName) ?? ""
        let registry = decoder.userInfo[.storeRegistry] as? StoreRegistry ?? .current
        let object = try container.decodeIfPresent(ObjectReference.self, forKey: .object)
        let inline = try container.decodeIfPresent([UInt8].self, forKey: .inline)
        let outcome = try container.decodeIfPresent(OutcomeReference.self, forKey: .outcome)
        var layout: ArrayLayout?
        let origin: ProxyOrigin
        switch (object, inline, outcome) {
        case (let object?, nil, nil):
            origin = .stored(object)
            layout = try Self.layout(container, object)
        case (nil, let inline?, nil) where inline.count <= ProxyWire.inlineSizeBytesMax: origin = .inline(inline)
        case (nil, nil, let outcome?): origin = .outcome(outcome)
        default:
            throw DecodingError.dataCorruptedError(
                forKey: .version, in: container,
                debugDescription: "a proxy has one of o, f and a v of at most \(ProxyWire.inlineSizeBytesMax) bytes")
        }
        guard typeName.utf8.count <= ProxyWire.typeNameSizeBytesMax else {
            throw DecodingError.dataCorruptedError(
                forKey: .typeName, in: container, debugDescription: "the type name of a proxy is too long")
        }
        self.init(origin: origin, typeName: typeName, layout: layout, registry: registry)
    }

    private static func layout(
        _ container: KeyedDecodingContainer<ProxyWire.CodingKeys>, _ object: ObjectReference
    ) throws -> ArrayLayout? {
        guard let parts = try container.decodeIfPresent([WireInteger].self, forKey: .layout) else { return nil }
        guard parts.count == 3, let offset = Int(exactly: parts[1].value), let count = Int(exactly: parts[2].value),
            let layout = ArrayLayout(
                tag: parts[0].value, payloadOffset: offset, count: count, objectSizeBytes: object.sizeBytes)
        else {
            throw DecodingError.dataCorruptedError(
                forKey: .layout, in: container,
                debugDescription: "the array layout of proxy \(object.id) does not fit its object")
        }
        return layout
    }
}

/// An integer that is encoded as a plain item, where an array of `UInt64` would become a typed array.
private struct WireInteger: Codable {
    let value: UInt64

    init(_ value: UInt64) { self.value = value }

    init(from decoder: any Decoder) throws {
        value = try decoder.singleValueContainer().decode(UInt64.self)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}
