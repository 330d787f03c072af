import CBOR
import TroupeStore

/// What a stored proxy, or an argument that went into a store because of its size, says about itself: which object, how
/// large, and where; nothing is fetched.
struct ProxyText: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// `store/key`, or the call whose outcome it is, or `inline`.
    var reference: String
    var typeName: String
    var sizeBytes: Int?
    var elementCount: Int?
    /// `redis at host:6379`, `in the message` or `outcome of a call`.
    var place: String
    /// Whether it stands for a plain argument or result.
    var isSubstitute: Bool

    /// Nil if the value is neither.
    init?(_ value: CBORValue) {
        guard let proxy = ProxyDescription(value) else { return nil }
        typeName = proxy.typeName
        elementCount = proxy.elementCount
        isSubstitute = proxy.isSubstitute
        switch proxy.origin {
        case .stored(let object):
            (reference, sizeBytes, place) = (object.id, object.sizeBytes, object.place)
        case .inline(let size):
            (reference, sizeBytes, place) = ("inline", size, "in the message")
        case .outcome(let outcome):
            (reference, sizeBytes, place) = (outcome.description, nil, "outcome of a call")
        }
    }

    /// Whether encoded bytes hold the mark of a proxy or a substitute; only then is it worth to look for one.
    static func mayBe(in bytes: [UInt8]) -> Bool {
        holds(Array("~proxy".utf8), bytes) || holds(Array("TRPS".utf8), bytes)
    }

    private static func holds(_ mark: [UInt8], _ bytes: [UInt8]) -> Bool {
        guard bytes.count >= mark.count else { return false }
        return (0...(bytes.count - mark.count)).contains { bytes[$0] == mark[0] && bytes[$0...].starts(with: mark) }
    }

    var description: String {
        let type = typeName.isEmpty ? "" : "<\(Self.bounded(typeName))>"
        let size = sizeBytes.map { ", \(Quantity.bytes($0))" } ?? ""
        let elements = elementCount.map { ", \($0) elements" } ?? ""
        let name = isSubstitute ? "object" : "proxy"
        return "\(name)\(type)(\(Self.bounded(reference))\(size)\(elements), \(Self.bounded(place)))"
    }

    private static func bounded(_ text: String) -> String { Escape.line(Escape.prefix(text, bytes: 120).text) }
}

extension CBORValue {
    var asText: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    var asInt: Int? {
        guard case .unsigned(let number) = self else { return nil }
        return Int(exactly: number)
    }
}
