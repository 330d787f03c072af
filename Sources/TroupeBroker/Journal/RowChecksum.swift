/// What tells a damaged row from a good one: SQLite checks the structure of its file, and nothing of what rows hold.
///
/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) over the table's name, the key and the value, kept behind the value.
enum RowChecksum {
    static let size = 4

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { sum, _ in sum & 1 == 1 ? sum >> 1 ^ 0x82F6_3B78 : sum >> 1 }
    }

    static func of(_ table: JournalTable, _ key: [UInt8], _ value: some Sequence<UInt8>) -> UInt32 {
        var sum: UInt32 = .max
        for byte in table.rawValue.utf8 { add(byte, to: &sum) }
        for byte in key { add(byte, to: &sum) }
        for byte in value { add(byte, to: &sum) }
        return ~sum
    }

    private static func add(_ byte: UInt8, to sum: inout UInt32) {
        sum = sum >> 8 ^ table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)]
    }

    /// The value as it is stored.
    static func sealed(_ value: [UInt8], _ table: JournalTable, _ key: [UInt8]) -> [UInt8] {
        let sum = of(table, key, value)
        return value + (0..<size).map { UInt8(truncatingIfNeeded: sum >> ($0 * 8)) }
    }

    /// The value as it was; nil if it is not that of this key any more.
    static func opened(_ stored: [UInt8], _ table: JournalTable, _ key: [UInt8]) -> [UInt8]? {
        guard stored.count >= size else { return nil }
        let value = stored.dropLast(size)
        let sum = stored.suffix(size).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return sum == of(table, key, value) ? Array(value) : nil
    }
}
