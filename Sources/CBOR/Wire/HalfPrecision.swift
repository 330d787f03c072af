/// IEEE 754 binary16 by its bits, so that it works where Swift has no `Float16`.
@usableFromInline
enum HalfPrecision {
    /// The half that has exactly the value of `value`, if there is one. `value` is not a NaN.
    @usableFromInline
    static func bits(exactly value: Float) -> UInt16? {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let mantissa = bits & 0x7f_ffff
        let biased = Int(bits >> 23 & 0xff)
        if biased == 0xff { return sign | 0x7c00 }
        if biased == 0 { return mantissa == 0 ? sign : nil }
        let exponent = biased - 127
        if exponent >= -14 && exponent <= 15 {
            guard mantissa & 0x1fff == 0 else { return nil }
            return sign | UInt16((exponent + 15) << 10) | UInt16(mantissa >> 13)
        }
        guard exponent >= -24 && exponent < -14 else { return nil }
        let shift = UInt32(-1 - exponent)
        let whole = mantissa | 0x80_0000
        guard whole & ((1 << shift) - 1) == 0 else { return nil }
        return sign | UInt16(whole >> shift)
    }

    @usableFromInline
    static func double(bits: UInt16) -> Double {
        let sign: FloatingPointSign = bits & 0x8000 == 0 ? .plus : .minus
        let exponent = Int(bits >> 10 & 0x1f)
        let mantissa = UInt64(bits & 0x3ff)
        let magnitude: Double
        switch exponent {
        case 0: magnitude = Double(mantissa) * 0x1p-24
        case 0x1f: magnitude = mantissa == 0 ? .infinity : .nan
        default: magnitude = Double(bitPattern: UInt64(exponent - 15 + 1023) << 52 | mantissa << 42)
        }
        return sign == .plus ? magnitude : -magnitude
    }
}
