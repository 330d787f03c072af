/// Writes diagnostic notation (RFC 8949 §8) straight from encoded bytes, up to a limit; what follows becomes `…`.
///
/// It is for people who look at data of any origin, so it shows what it can of truncated input and then says what is
/// wrong in place of the rest.
struct CBORDiagnostic {
    private(set) var text = ""
    private var reader: CBORReader
    private let limitBytes: Int

    /// Typed arrays show this many elements at most.
    static let elementsMax = 8

    private enum Stop: Error {
        case full
        case failed(CBORError)
    }

    init(_ bytes: ArraySlice<UInt8>, limitBytes: Int, depthMax: Int) {
        reader = CBORReader(bytes, depthMax: depthMax)
        self.limitBytes = limitBytes
    }

    /// Writes the items up to the end, separated by commas. An error of the input is written and returned.
    mutating func run() -> CBORError? {
        do throws(Stop) {
            var isFirst = true
            while isFirst || !reader.isAtEnd {
                if !isFirst { try write(", ") }
                isFirst = false
                try item(depth: 0)
            }
            return nil
        } catch {
            switch error {
            case .full: return nil
            case .failed(let error):
                text += "… /\(error.code) at byte \(error.offset ?? reader.offset)/"
                return error
            }
        }
    }

    // MARK: Output

    private mutating func write(_ part: some StringProtocol) throws(Stop) {
        let room = limitBytes - text.utf8.count
        guard part.utf8.count > room else {
            text += part
            return
        }
        var used = 0
        for character in part.unicodeScalars {
            used += UTF8.width(character)
            if used > room { break }
            text.unicodeScalars.append(character)
        }
        text += "…"
        throw .full
    }

    private mutating func read<Value>(
        _ body: (inout CBORReader) throws(CBORError) -> Value
    ) throws(Stop) -> Value {
        do throws(CBORError) {
            return try body(&reader)
        } catch {
            throw .failed(error)
        }
    }

    // MARK: Items

    private mutating func item(depth: Int, tags: Int = 0) throws(Stop) {
        guard depth <= reader.depthMax && tags <= CBORReader.tagChainMax else {
            throw .failed(CBORError(.tooDeep, "items nest too deep", offset: reader.offset))
        }
        let initial = try read { reader throws(CBORError) in try reader.peekByte() }
        let head = try read { reader throws(CBORError) in try reader.readHead() }
        switch head.major {
        case 0: try write("\(head.argument)")
        case 1: try write(Self.negative(head.argument))
        case 2, 3: try string(head)
        case 4, 5: try container(head, depth: depth)
        case 6: try tagged(head.argument, depth: depth, tags: tags)
        default: try simple(head, initial)
        }
    }

    static func negative(_ argument: UInt64) -> String {
        argument == .max ? "-18446744073709551616" : "-\(argument + 1)"
    }

    private mutating func simple(_ head: CBORHead, _ initial: UInt8) throws(Stop) {
        switch head.info {
        case 20: try write("false")
        case 21: try write("true")
        case 22: try write("null")
        case 23: try write("undefined")
        case 25: try write(Self.float(HalfPrecision.double(bits: UInt16(truncatingIfNeeded: head.argument))))
        case 26: try write(Self.float(Double(Float(bitPattern: UInt32(truncatingIfNeeded: head.argument)))))
        case 27: try write(Self.float(Double(bitPattern: head.argument)))
        case 31: throw .failed(.malformed("a break code where an item should begin", at: reader.offset - 1))
        default: try write("simple(\(head.argument))")
        }
    }

    static func float(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        let text = "\(value)"
        // RFC 8949 writes 1.0e+300 where Swift writes 1e+300.
        guard let mark = text.firstIndex(of: "e"), !text[..<mark].contains(".") else { return text }
        return "\(text[..<mark]).0\(text[mark...])"
    }

    // MARK: Strings

    private mutating func string(_ head: CBORHead) throws(Stop) {
        guard head.isIndefinite else { return try chunk(head) }
        try write("(_ ")
        var isFirst = true
        while try !read({ reader throws(CBORError) in try reader.readBreak() }) {
            if !isFirst { try write(", ") }
            isFirst = false
            let part = try read { reader throws(CBORError) in try reader.readHead() }
            guard part.major == head.major && !part.isIndefinite else {
                throw .failed(.malformed("a chunk of another type in a string", at: reader.offset - 1))
            }
            try chunk(part)
        }
        try write(")")
    }

    /// Shows also the beginning of a string whose end is missing.
    private mutating func chunk(_ head: CBORHead) throws(Stop) {
        let start = reader.offset
        let isWhole = head.argument <= UInt64(reader.remaining)
        let content = try read { reader throws(CBORError) in
            try reader.take(min(head.argument, UInt64(reader.remaining)))
        }
        if head.major == 2 {
            try hex(content)
        } else {
            try quoted(content, at: start, isWhole: isWhole)
        }
        guard isWhole else {
            throw .failed(.truncatedInput(at: reader.offset, needing: head.argument - UInt64(content.count)))
        }
    }

    private mutating func hex(_ content: ArraySlice<UInt8>) throws(Stop) {
        try write("h'")
        for byte in content.prefix(limitBytes) {
            try write((byte < 16 ? "0" : "") + String(byte, radix: 16))
        }
        try write("'")
    }

    private mutating func quoted(_ content: ArraySlice<UInt8>, at start: Int, isWhole: Bool) throws(Stop) {
        // A prefix that may end inside a character is enough to fill the room; only whole strings have to be valid.
        let shown = content.prefix(limitBytes + 4)
        if isWhole && shown.count == content.count && String(validating: content, as: UTF8.self) == nil {
            throw .failed(CBORError(.invalidUTF8, "a text string is not UTF-8", offset: start))
        }
        try write("\"")
        for scalar in String(decoding: shown, as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\"": try write("\\\"")
            case "\\": try write("\\\\")
            case "\n": try write("\\n")
            case "\r": try write("\\r")
            case "\t": try write("\\t")
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                try write("\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits)
            default: try write(String(scalar))
            }
        }
        try write("\"")
    }

    // MARK: Containers

    private mutating func container(_ head: CBORHead, depth: Int) throws(Stop) {
        let isMap = head.major == 5
        try write(isMap ? "{" : "[")
        if head.isIndefinite { try write("_ ") }
        var index: UInt64 = 0
        while true {
            if head.isIndefinite {
                if try read({ reader throws(CBORError) in try reader.readBreak() }) { break }
            } else if index == head.argument {
                break
            }
            if index > 0 { try write(", ") }
            try item(depth: depth + 1)
            if isMap {
                try write(": ")
                try item(depth: depth + 1)
            }
            index += 1
        }
        try write(isMap ? "}" : "]")
    }

    private mutating func tagged(_ tag: UInt64, depth: Int, tags: Int) throws(Stop) {
        if tag == 2 || tag == 3 {
            var ahead = reader
            if let content = try? ahead.readBytes(), content.count <= 64 {
                reader = ahead
                return try write(BigNumber.decimal(content, isNegative: tag == 3))
            }
        }
        if let type = CBORElementType(tag: tag) {
            var ahead = reader
            if let payload = try? ahead.readBytes(), payload.count % type.stride == 0 {
                reader = ahead
                return try typedArray(type, payload)
            }
        }
        try write("\(tag)(")
        try item(depth: depth, tags: tags + 1)
        try write(")")
    }

    private mutating func typedArray(_ type: CBORElementType, _ payload: ArraySlice<UInt8>) throws(Stop) {
        let count = payload.count / type.stride
        let shown = payload.prefix(Self.elementsMax * type.stride)
        try write("\(type.name)[")
        var isFirst = true
        for element in Self.elements(type, shown) {
            if !isFirst { try write(", ") }
            isFirst = false
            try write(element)
        }
        try write(count > Self.elementsMax ? ", …; \(count)]" : "]")
    }

    private static func elements(_ type: CBORElementType, _ payload: ArraySlice<UInt8>) -> [String] {
        switch type.number {
        case .unsigned: return (try? type.decode([UInt64].self, payload: payload))?.map { "\($0)" } ?? []
        case .signed: return (try? type.decode([Int64].self, payload: payload))?.map { "\($0)" } ?? []
        case .float where type.stride == 4:
            return (try? type.decode([Float].self, payload: payload))?.map { $0.isFinite ? "\($0)" : float(Double($0)) }
                ?? []
        case .float: return (try? type.decode([Double].self, payload: payload))?.map(float) ?? []
        }
    }
}

extension CBORValue {
    /// Diagnostic notation (RFC 8949 §8) of encoded bytes, without building a value: at most `limitBytes` of UTF-8, then
    /// `…`. Typed arrays show their first elements and their count: `f64[1.0, 2.0, …; 1000]`.
    ///
    /// Never throws: what is malformed or missing is named at its place, so a prefix of a large value can be shown too.
    public static func diagnostic(
        of bytes: ArraySlice<UInt8>, limitBytes: Int = .max, depthMax: Int = CBORLimits.standard.depthMax
    ) -> String {
        var diagnostic = CBORDiagnostic(bytes, limitBytes: max(0, min(limitBytes, 1 << 40)), depthMax: depthMax)
        _ = diagnostic.run()
        return diagnostic.text
    }

    /// As ``diagnostic(of:limitBytes:depthMax:)`` of a whole array.
    public static func diagnostic(of bytes: [UInt8], limitBytes: Int = .max) -> String {
        diagnostic(of: bytes[...], limitBytes: limitBytes)
    }

    /// Diagnostic notation (RFC 8949 §8) of at most `limitBytes` of UTF-8, then `…`; map keys in encoded order.
    public func diagnosticDescription(limitBytes: Int = .max) -> String {
        do throws(CBORError) {
            return Self.diagnostic(of: try encoded(), limitBytes: limitBytes)
        } catch {
            return "/\(error.code)/"
        }
    }
}

extension CBORValue: CustomStringConvertible {
    /// The beginning of the diagnostic notation, 1 KiB at most.
    public var description: String { diagnosticDescription(limitBytes: 1024) }
}
