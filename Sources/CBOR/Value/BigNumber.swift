/// Integers beyond 64 bits, tags 2 and 3: only to be shown.
enum BigNumber {
    /// The decimal digits of a big-endian magnitude n, or of −1 − n. The time is quadratic in the length.
    static func decimal(_ magnitude: ArraySlice<UInt8>, isNegative: Bool) -> String {
        // Digits in base 10⁹, the lowest first; −1 − n has the magnitude n + 1.
        var digits: [UInt64] = [0]
        for byte in magnitude { multiplyAndAdd(&digits, by: 256, UInt64(byte)) }
        if isNegative { multiplyAndAdd(&digits, by: 1, 1) }
        var text = isNegative ? "-" : ""
        text += "\(digits[digits.count - 1])"
        for digit in digits.dropLast().reversed() {
            let part = "\(digit)"
            text += String(repeating: "0", count: 9 - part.utf8.count) + part
        }
        return text
    }

    private static func multiplyAndAdd(_ digits: inout [UInt64], by factor: UInt64, _ addend: UInt64) {
        var carry = addend
        for index in digits.indices {
            let sum = digits[index] * factor + carry
            digits[index] = sum % 1_000_000_000
            carry = sum / 1_000_000_000
        }
        if carry > 0 { digits.append(carry) }
    }
}
