/// Where the keys and values of one map are, found in one pass, and where the map is: all that a container needs, so that
/// a container is one reference.
final class MapIndex {
    struct Entry {
        /// Of a text key the content, of an integer key the item.
        let keyOffset: UInt32
        /// Of a text key its length, of an integer key `integerMark`.
        let keyLength: UInt32
        let valueOffset: UInt32

        static let integerMark = UInt32.max

        var isInteger: Bool { keyLength == Self.integerMark }
    }

    let source: DecodingSource
    let offset: UInt32
    let level: UInt32
    let path: PathNode?
    let entries: [Entry]
    /// Keys are mostly asked for in the order they come, so the search begins after the last one found.
    private var next = 0

    /// Reads the map at `offset`; keys are texts and integers.
    init(_ decoder: ItemDecoder) throws(CBORError) {
        source = decoder.source
        offset = decoder.offset
        level = decoder.level
        path = decoder.path
        do throws(CBORError) {
            entries = try Self.read(decoder.source, at: decoder.offset)
        } catch {
            throw error.located(at: decoder.path.names)
        }
    }

    private static func read(_ source: DecodingSource, at offset: UInt32) throws(CBORError) -> [Entry] {
        var reader = try source.contentReader(at: offset)
        let count = try reader.readMapHeader()
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            let start = reader.offset
            switch try reader.peek() {
            case .text:
                let content = try reader.readTextBytes()
                let contentOffset = UInt32(content.startIndex - source.bytes.startIndex)
                entries.append(
                    Entry(
                        keyOffset: contentOffset, keyLength: UInt32(content.count), valueOffset: UInt32(reader.offset)))
            case .unsigned, .negative:
                _ = try reader.readHead()
                entries.append(
                    Entry(
                        keyOffset: UInt32(start), keyLength: Entry.integerMark, valueOffset: UInt32(reader.offset)))
            case .bytes, .array, .map, .tag, .bool, .null, .undefined, .simple, .float:
                throw CBORError(.typeMismatch, "a map key is neither text nor integer", offset: start)
            }
            try reader.skip()
        }
        try rejectDuplicates(entries, source)
        return entries
    }

    func find(_ key: some CodingKey) -> Entry? {
        var name = key.stringValue
        let number = key.intValue
        let found = name.withUTF8 { name -> Int? in
            source.bytes.withUnsafeBufferPointer { bytes in
                for step in entries.indices {
                    var index = next + step
                    if index >= entries.count { index -= entries.count }
                    if matches(entries[index], name, number, bytes) { return index }
                }
                return nil
            }
        }
        guard let found else { return nil }
        next = found + 1 == entries.count ? 0 : found + 1
        return entries[found]
    }

    @inline(__always)
    private func matches(
        _ entry: Entry, _ name: UnsafeBufferPointer<UInt8>, _ number: Int?, _ bytes: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        if entry.isInteger {
            guard let number else { return false }
            var reader = source.reader(at: entry.keyOffset)
            return (try? reader.readInt()) == number
        }
        guard Int(entry.keyLength) == name.count else { return false }
        let start = Int(entry.keyOffset)
        for index in 0..<name.count where bytes[start + index] != name[index] { return false }
        return true
    }

    // MARK: Duplicates

    /// Keys in strictly rising order cannot repeat; others are sorted first. What counts is the key, not its encoding,
    /// which need not be the shortest one.
    private static func rejectDuplicates(_ entries: [Entry], _ source: DecodingSource) throws(CBORError) {
        guard entries.count > 1 else { return }
        let duplicate = source.bytes.withUnsafeBufferPointer { bytes -> Entry? in
            var isRising = true
            for index in 1..<entries.count where isRising {
                isRising = compare(entries[index - 1], entries[index], bytes) < 0
            }
            if isRising { return nil }
            let sorted = entries.sorted { compare($0, $1, bytes) < 0 }
            for index in 1..<sorted.count where compare(sorted[index - 1], sorted[index], bytes) == 0 {
                return sorted[index]
            }
            return nil
        }
        if let duplicate {
            throw CBORError(.duplicateKey, "a map has one key twice", offset: Int(duplicate.keyOffset))
        }
    }

    private static func compare(_ left: Entry, _ right: Entry, _ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        if left.isInteger || right.isInteger {
            guard left.isInteger && right.isInteger else { return left.isInteger ? -1 : 1 }
            let (leftMajor, leftValue) = integer(left, bytes)
            let (rightMajor, rightValue) = integer(right, bytes)
            if leftMajor != rightMajor { return Int(leftMajor) - Int(rightMajor) }
            return leftValue == rightValue ? 0 : leftValue < rightValue ? -1 : 1
        }
        if left.keyLength != right.keyLength { return Int(left.keyLength) - Int(right.keyLength) }
        for index in 0..<Int(left.keyLength) {
            let difference = Int(bytes[Int(left.keyOffset) + index]) - Int(bytes[Int(right.keyOffset) + index])
            if difference != 0 { return difference }
        }
        return 0
    }

    private static func integer(_ entry: Entry, _ bytes: UnsafeBufferPointer<UInt8>) -> (major: UInt8, UInt64) {
        let initial = bytes[Int(entry.keyOffset)]
        let info = initial & 0x1f
        guard info >= 24 else { return (initial >> 5, UInt64(info)) }
        var argument: UInt64 = 0
        for index in 1...1 << Int(info - 24) {
            argument = argument << 8 | UInt64(bytes[Int(entry.keyOffset) + index])
        }
        return (initial >> 5, argument)
    }
}
