public import CBOR

/// A proxy or substitute as people see it — what, how large, where — made without the user's types and without a fetch.
public struct ProxyDescription: Hashable, Sendable, CustomStringConvertible {
    public enum Origin: Hashable, Sendable {
        case stored(ObjectReference)
        case inline(sizeBytes: Int)
        case outcome(OutcomeReference)
    }

    public let origin: Origin
    /// Empty if the sender wrote none.
    public let typeName: String
    /// Elements of a stored numeric array, if known.
    public let elementCount: Int?
    /// True for a plain argument or result that went into a store because of its size.
    public let isSubstitute: Bool

    init<Value>(_ proxy: Proxy<Value>) {
        switch proxy.origin {
        case .stored(let reference): origin = .stored(reference)
        case .inline(let bytes): origin = .inline(sizeBytes: bytes.count)
        case .outcome(let outcome): origin = .outcome(outcome)
        }
        typeName = proxy.typeName
        elementCount = proxy.layout?.count
        isSubstitute = false
    }

    private init(origin: Origin, typeName: String, elementCount: Int?, isSubstitute: Bool) {
        self.origin = origin
        self.typeName = typeName
        self.elementCount = elementCount
        self.isSubstitute = isSubstitute
    }

    /// `Proxy<Array<Double>>(weights/5f…, 7.6 MiB, 1000000 elements, in redis at 10.0.0.1:6379)`
    public var description: String {
        let type = typeName.isEmpty ? "" : isSubstitute ? " of type \(typeName)" : "<\(typeName)>"
        let name = isSubstitute ? "Object\(type)" : "Proxy\(type)"
        switch origin {
        case .stored(let reference):
            let elements = elementCount.map { ", \($0) elements" } ?? ""
            return "\(name)(\(reference.id), \(ByteCount.text(reference.sizeBytes))\(elements), "
                + "in \(reference.place))"
        case .inline(let sizeBytes): return "\(name)(inline, \(ByteCount.text(sizeBytes)))"
        case .outcome(let outcome): return "\(name)(outcome of \(outcome))"
        }
    }

    /// The proxy or substitute that this item is; `nil` for any other item, malformed ones included.
    public init?(_ value: CBORValue) {
        if case .tagged(Substitute.tag, let item) = value {
            self.init(substitute: item)
        } else {
            self.init(proxy: value)
        }
    }

    /// The proxies and substitutes inside of a decoded payload in the order they lie there, `countMax` at most.
    public static func find(in value: CBORValue, countMax: Int = 100) -> [ProxyDescription] {
        var found: [ProxyDescription] = []
        collect(value, countMax, &found)
        return found
    }

    private static func collect(_ value: CBORValue, _ countMax: Int, _ found: inout [ProxyDescription]) {
        guard found.count < countMax else { return }
        if let description = ProxyDescription(value) {
            found.append(description)
            return
        }
        switch value {
        case .array(let items):
            for item in items { collect(item, countMax, &found) }
        case .map(let pairs):
            for pair in pairs { collect(pair.value, countMax, &found) }
        case .tagged(_, let item): collect(item, countMax, &found)
        case .unsigned, .negative, .bytes, .text, .bool, .null, .undefined, .simple, .float: return
        }
    }

    private init?(substitute item: CBORValue) {
        guard let bytes = try? CBORValue.tagged(Substitute.tag, item).encoded(),
            let substitute = try? Substitute(bytes)
        else { return nil }
        self.init(
            origin: .stored(substitute.reference), typeName: substitute.typeName, elementCount: nil,
            isSubstitute: true)
    }

    private init?(proxy value: CBORValue) {
        typealias Key = ProxyWire.CodingKeys
        guard value[Key.version.rawValue] == .unsigned(UInt64(ProxyWire.version)) else { return nil }
        let typeName = value[Key.typeName.rawValue]?.textValue ?? ""
        if let object = value[Key.object.rawValue] {
            guard let reference = Self.reference(object) else { return nil }
            var elementCount: Int?
            if case .array(let parts)? = value[Key.layout.rawValue], parts.count == 3 {
                elementCount = parts[2].sizeValue
            }
            self.init(
                origin: .stored(reference), typeName: typeName, elementCount: elementCount, isSubstitute: false)
        } else if case .bytes(let bytes)? = value[Key.inline.rawValue] {
            self.init(
                origin: .inline(sizeBytes: bytes.count), typeName: typeName, elementCount: nil, isSubstitute: false)
        } else if let outcome = value[Key.outcome.rawValue], let callID = outcome["i"]?.textValue,
            let reference = try? OutcomeReference(callID: callID, exchange: outcome["e"]?.textValue)
        {
            self.init(origin: .outcome(reference), typeName: typeName, elementCount: nil, isSubstitute: false)
        } else {
            return nil
        }
    }

    private static func reference(_ object: CBORValue) -> ObjectReference? {
        typealias Key = ObjectReference.CodingKeys
        guard let store = object[Key.store.rawValue]?.textValue, let kind = object[Key.kind.rawValue]?.textValue,
            let address = object[Key.address.rawValue]?.textValue, let key = object[Key.key.rawValue]?.textValue,
            let sizeBytes = object[Key.sizeBytes.rawValue]?.sizeValue
        else { return nil }
        return try? ObjectReference(
            store: store, kind: kind, address: address, key: key, sizeBytes: sizeBytes,
            isManaged: object[Key.isManaged.rawValue] == .bool(true), site: object[Key.site.rawValue]?.textValue)
    }
}

extension CBORValue {
    fileprivate var textValue: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    fileprivate var sizeValue: Int? {
        guard case .unsigned(let value) = self else { return nil }
        return Int(exactly: value)
    }
}
