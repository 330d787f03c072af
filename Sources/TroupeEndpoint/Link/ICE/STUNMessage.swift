/// The little of STUN (RFC 8489) that asks a server under which address it sees us.
enum STUNMessage {
    private static let cookie: [UInt8] = [0x21, 0x12, 0xA4, 0x42]
    private static let bindingRequest: [UInt8] = [0x00, 0x01]
    private static let bindingSuccess: [UInt8] = [0x01, 0x01]
    private static let xorMappedAddress: UInt16 = 0x0020
    private static let headSizeBytes = 20
    static let transactionSizeBytes = 12

    static func request(_ transaction: [UInt8]) -> [UInt8] {
        precondition(transaction.count == transactionSizeBytes, "a transaction's id has 12 bytes")
        return bindingRequest + [0, 0] + cookie + transaction
    }

    /// The address in a success response to this request; nil for anything else.
    static func mappedAddress(in bytes: [UInt8], to transaction: [UInt8]) -> NumericAddress? {
        guard bytes.count >= headSizeBytes, bytes.starts(with: bindingSuccess), Array(bytes[4..<8]) == cookie,
            Array(bytes[8..<20]) == transaction
        else { return nil }
        var rest = bytes[headSizeBytes...]
        while rest.count >= 4 {
            let type = number(rest.prefix(2))
            let size = Int(number(rest.dropFirst(2).prefix(2)))
            let value = rest.dropFirst(4).prefix(size)
            guard value.count == size else { return nil }
            if type == xorMappedAddress { return address(Array(value), transaction) }
            // Attributes begin at multiples of four bytes.
            rest = rest.dropFirst(4 + (size + 3) / 4 * 4)
        }
        return nil
    }

    private static func address(_ value: [UInt8], _ transaction: [UInt8]) -> NumericAddress? {
        guard value.count >= 4 else { return nil }
        let port = number(value[2..<4]) ^ 0x2112
        let masked = zip(value.dropFirst(4), cookie + transaction).map { $0 ^ $1 }
        switch (value[1], masked.count) {
        case (1, 4): return NumericAddress(host: masked.map(String.init).joined(separator: "."), port: port)
        case (2, 16):
            let groups = stride(from: 0, to: 16, by: 2).map { String(number(masked[$0..<$0 + 2]), radix: 16) }
            return NumericAddress(host: groups.joined(separator: ":"), port: port)
        case (_, _): return nil
        }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt16 { bytes.reduce(0) { $0 << 8 | UInt16($1) } }
}
