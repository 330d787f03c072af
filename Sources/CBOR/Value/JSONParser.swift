/// Reads JSON (RFC 8259) as CBOR values: whole numbers become integers where they fit, others floats. Bounded in depth;
/// one key twice in an object is refused.
struct JSONParser {
    private let bytes: [UInt8]
    private var position = 0
    private let depthMax: Int

    init(_ text: String, depthMax: Int) {
        bytes = Array(text.utf8)
        self.depthMax = depthMax
    }

    mutating func parse() throws(CBORError) -> CBORValue {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw failure("something follows the value") }
        return value
    }

    private func failure(_ message: String) -> CBORError {
        CBORError(.invalidJSON, message, offset: position)
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[position]) { position += 1 }
    }

    /// The next byte that is not space, still to be read.
    private mutating func peek() throws(CBORError) -> UInt8 {
        skipSpace()
        guard position < bytes.count else { throw failure("the text ends where more is needed") }
        return bytes[position]
    }

    private mutating func value(depth: Int) throws(CBORError) -> CBORValue {
        switch try peek() {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ word: String, _ value: CBORValue) throws(CBORError) -> CBORValue {
        guard bytes[position...].starts(with: word.utf8) else { throw failure("neither a value nor \(word)") }
        position += word.utf8.count
        return value
    }

    // MARK: Containers

    private mutating func array(depth: Int) throws(CBORError) -> CBORValue {
        var items: [CBORValue] = []
        try elements(depth: depth, end: UInt8(ascii: "]")) { parser throws(CBORError) in
            items.append(try parser.value(depth: depth))
        }
        return .array(items)
    }

    private mutating func object(depth: Int) throws(CBORError) -> CBORValue {
        var pairs: [CBORValue.Pair] = []
        var seen: Set<String> = []
        try elements(depth: depth, end: UInt8(ascii: "}")) { parser throws(CBORError) in
            guard try parser.peek() == UInt8(ascii: "\"") else { throw parser.failure("a key is no string") }
            let key = try parser.string()
            guard seen.insert(key).inserted else { throw parser.failure("an object has the key \"\(key)\" twice") }
            guard try parser.peek() == UInt8(ascii: ":") else { throw parser.failure("no colon after a key") }
            parser.position += 1
            pairs.append(CBORValue.Pair(.text(key), try parser.value(depth: depth)))
        }
        return .map(pairs)
    }

    private mutating func elements(
        depth: Int, end: UInt8, _ element: (inout JSONParser) throws(CBORError) -> Void
    ) throws(CBORError) {
        guard depth <= depthMax else {
            throw CBORError(.tooDeep, "arrays and objects nest deeper than \(depthMax)", offset: position)
        }
        position += 1
        if try peek() == end {
            position += 1
            return
        }
        while true {
            try element(&self)
            let next = try peek()
            guard next == end || next == UInt8(ascii: ",") else { throw failure("neither a comma nor the end") }
            position += 1
            if next == end { return }
        }
    }

    // MARK: Scalars

    private mutating func digits() throws(CBORError) {
        let start = position
        while position < bytes.count, 0x30...0x39 ~= bytes[position] { position += 1 }
        guard position > start else { throw failure("not a value, or a number that lacks digits") }
    }

    private mutating func accept(_ choices: String) -> Bool {
        guard position < bytes.count, choices.utf8.contains(bytes[position]) else { return false }
        position += 1
        return true
    }

    private mutating func number() throws(CBORError) -> CBORValue {
        let start = position
        let isNegative = accept("-")
        let first = position
        try digits()
        guard bytes[first] != 0x30 || position == first + 1 else { throw failure("a number begins with zero") }
        var isWhole = true
        if accept(".") {
            isWhole = false
            try digits()
        }
        if accept("eE") {
            isWhole = false
            _ = accept("+-")
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isWhole, let magnitude = UInt64(String(decoding: bytes[first..<position], as: UTF8.self)) {
            if !isNegative { return .unsigned(magnitude) }
            return magnitude == 0 ? .float(-0.0) : .negative(magnitude - 1)
        }
        if isWhole && text == "-18446744073709551616" { return .negative(.max) }
        guard let value = Double(text), value.isFinite else {
            throw CBORError(.outOfRange, "the number \(text.prefix(40)) does not fit Double", offset: start)
        }
        return .float(value)
    }

    private mutating func string() throws(CBORError) -> String {
        position += 1
        var content: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: content, as: UTF8.self)
            case UInt8(ascii: "\\"): content.append(contentsOf: try escape().utf8)
            case 0..<0x20: throw failure("a control character in a string")
            default: content.append(byte)
            }
        }
        throw failure("the text ends inside a string")
    }

    private mutating func escape() throws(CBORError) -> String {
        guard position < bytes.count else { throw failure("the text ends inside a string") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return String(UnicodeScalar(byte))
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw failure("an unknown escape in a string")
        }
    }

    private mutating func unicodeEscape() throws(CBORError) -> String {
        let first = try codeUnit()
        var units = [first]
        if UTF16.isLeadSurrogate(first) {
            guard accept("\\"), accept("u") else { throw failure("half a surrogate pair") }
            units.append(try codeUnit())
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw failure("half a surrogate pair") }
        return text
    }

    private mutating func codeUnit() throws(CBORError) -> UInt16 {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ UnicodeScalar($0).properties.isASCIIHexDigit }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw failure("\\u lacks four hexadecimal digits") }
        position += 4
        return unit
    }
}
