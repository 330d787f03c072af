extension CBORValue {
    /// Reads JSON text: whole numbers become integers where they fit 64 bits and a sign, others floats.
    ///
    /// - Throws: `invalidJSON`, `tooDeep`, `outOfRange`, with the byte offset in the text.
    public init(
        parsingJSON text: String, depthMax: Int = CBORLimits.standard.depthMax
    ) throws(CBORError) {
        var parser = JSONParser(text, depthMax: depthMax)
        self = try parser.parse()
    }

    /// The value as JSON text. What JSON lacks is shown as its nearest: bytes as base64url strings without padding,
    /// typed arrays as arrays, other tags as their content, big numbers as numbers, undefined as null, NaN and infinities
    /// as strings, keys that are no text by their diagnostic notation.
    public func json(pretty: Bool = false) -> String {
        var text = ""
        writeJSON(to: &text, indent: pretty ? "\n" : nil)
        return text
    }

    /// `indent` is the line break and spaces of the surrounding line, where lines are wanted.
    private func writeJSON(to text: inout String, indent: String?) {
        switch self {
        case .unsigned(let value): text += "\(value)"
        case .negative(let value): text += CBORDiagnostic.negative(value)
        case .bytes(let bytes): text += "\"\(Self.base64URL(bytes))\""
        case .text(let value): Self.writeString(value, to: &text)
        case .bool(let value): text += value ? "true" : "false"
        case .null, .undefined: text += "null"
        case .simple(let value): text += "\(value)"
        case .float(let value): text += value.isFinite ? "\(value)" : "\"\(CBORDiagnostic.float(value))\""
        case .tagged(let tag, let content): Self.writeTagged(tag, content, to: &text, indent: indent)
        case .array(let items):
            Self.writeList("[", items, "]", to: &text, indent: indent) { item, text, indent in
                item.writeJSON(to: &text, indent: indent)
            }
        case .map(let pairs):
            Self.writeList("{", pairs, "}", to: &text, indent: indent) { pair, text, indent in
                Self.writeString(pair.key.nameAsKey, to: &text)
                text += indent == nil ? ":" : ": "
                pair.value.writeJSON(to: &text, indent: indent)
            }
        }
    }

    private static func writeList<Element>(
        _ open: String, _ elements: [Element], _ close: String, to text: inout String, indent: String?,
        _ write: (Element, inout String, String?) -> Void
    ) {
        text += open
        let inner = indent.map { $0 + "  " }
        for (index, element) in elements.enumerated() {
            if index > 0 { text += "," }
            if let inner { text += inner }
            write(element, &text, inner)
        }
        if let indent, !elements.isEmpty { text += indent }
        text += close
    }

    private static func writeTagged(_ tag: UInt64, _ content: CBORValue, to text: inout String, indent: String?) {
        guard case .bytes(let bytes) = content else { return content.writeJSON(to: &text, indent: indent) }
        if (tag == 2 || tag == 3) && bytes.count <= 64 {
            text += BigNumber.decimal(bytes[...], isNegative: tag == 3)
        } else if let type = CBORElementType(tag: tag), let elements = numbers(type, bytes) {
            CBORValue.array(elements).writeJSON(to: &text, indent: nil)
        } else {
            content.writeJSON(to: &text, indent: indent)
        }
    }

    private static func numbers(_ type: CBORElementType, _ bytes: [UInt8]) -> [CBORValue]? {
        switch type.number {
        case .unsigned: return (try? type.decode([UInt64].self, payload: bytes[...]))?.map(CBORValue.unsigned)
        case .signed: return (try? type.decode([Int64].self, payload: bytes[...]))?.map { .integer(Int($0)) }
        case .float: return (try? type.decode([Double].self, payload: bytes[...]))?.map(CBORValue.float)
        }
    }

    private static func writeString(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                text += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for index in 0...group.count { text.append(alphabet[bits >> (18 - 6 * index) & 63]) }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
