import CBOR
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#endif

@Suite struct TypedArrayTests {
    private struct Model: Codable, Equatable {
        var weights: [Double]
        var layers: [[Float]]
        var named: [String: [Int16]]
        var raw: [UInt8]
        var counts: [UInt64]
    }

    private func check<Element: CBORTypedArrayElement & Equatable>(_ elements: [Element], tag: UInt64) throws {
        let encoded = try CBOREncoder().encode(elements)
        let payload = elements.withUnsafeBytes { Array($0) }
        var expected = CBORWriter()
        expected.writeTag(tag)
        expected.writeBytes(payload)
        #expect(encoded == expected.bytes)
        #expect(try CBORDecoder().decode([Element].self, from: encoded) == elements)
        // The big-endian tag lies four below.
        if MemoryLayout<Element>.size > 1 {
            var big = CBORWriter()
            big.writeTag(tag - 4)
            big.writeBytes(elements.map(\.cborByteSwapped).withUnsafeBytes { Array($0) })
            #expect(try CBORDecoder().decode([Element].self, from: big.bytes) == elements)
        }
        let empty = try CBOREncoder().encode([Element]())
        #expect(try CBORDecoder().decode([Element].self, from: empty).isEmpty)
    }

    @Test func everyElementTypeIsOneByteString() throws {
        try check([Int8.min, 0, .max], tag: 72)
        try check([Int16.min, 0, .max], tag: 77)
        try check([Int32.min, 0, .max], tag: 78)
        try check([Int64.min, 0, .max], tag: 79)
        try check([Int.min, 0, .max], tag: 79)
        try check([UInt16.min, 7, .max], tag: 69)
        try check([UInt32.min, 7, .max], tag: 70)
        try check([UInt64.min, 7, .max], tag: 71)
        try check([UInt.min, 7, .max], tag: 71)
        try check([Float.pi, -0.5, .infinity], tag: 85)
        try check([Double.pi, -0.5, .leastNonzeroMagnitude], tag: 86)
        #if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
            try check([Float16.pi, -0.5, .infinity], tag: 84)
        #endif
    }

    @Test func aMillionDoublesAreTheirMemory() throws {
        let values = (0..<1_000_000).map { Double($0) * 0.5 }
        let encoded = try CBOREncoder().encode(values)
        #expect(Array(encoded.prefix(7)) == bytes("d856 5a 007a1200"))
        #expect(encoded.count == 7 + 8_000_000)
        let isPayload = values.withUnsafeBytes { payload in
            encoded.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: $0[7...]).elementsEqual(payload) }
        }
        #expect(isPayload)
        let decoded = try CBORDecoder().decode([Double].self, from: encoded)
        #expect(decoded == values)
    }

    @Test func nestedEverywhere() throws {
        let model = Model(
            weights: [1, 2, 3], layers: [[1, 2], [], [3]], named: ["b": [1], "a": [-1, 2]], raw: [1, 2],
            counts: [.max])
        let encoded = try CBOREncoder().encode(model)
        #expect(
            CBORValue.diagnostic(of: encoded) == """
                {"raw": h'0102', "named": {"a": i16[-1, 2], "b": i16[1]}, "counts": u64[18446744073709551615], \
                "layers": [f32[1.0, 2.0], f32[], f32[3.0]], "weights": f64[1.0, 2.0, 3.0]}
                """)
        #expect(try CBORDecoder().decode(Model.self, from: encoded) == model)
    }

    @Test func plainArraysAndOtherElementTypesAreAccepted() throws {
        let decoder = CBORDecoder()
        #expect(try decoder.decode([Double].self, from: bytes("83 01 f93e00 20")) == [1, 1.5, -1])
        #expect(try decoder.decode([Int8].self, from: bytes("82 187f 387f")) == [127, -128])
        #expect(try decoder.decode([UInt8].self, from: bytes("83 01 02 03")) == [1, 2, 3])
        #expect(try decoder.decode([UInt8].self, from: bytes("d840 43 010203")) == [1, 2, 3])
        #expect(try decoder.decode([UInt8].self, from: bytes("d844 43 010203")) == [1, 2, 3])
        #expect(try decoder.decode([Double].self, from: bytes("d855 44 0000c03f")) == [1.5])
        #expect(try decoder.decode([Double].self, from: bytes("d850 42 3e00")) == [1.5])
        #expect(try decoder.decode([Int].self, from: bytes("d845 44 01000200")) == [1, 2])
        #expect(try decoder.decode(ContiguousArray<Int>.self, from: bytes("d845 44 01000200")) == [1, 2])
        #expect(try decoder.decode(Set<Double>.self, from: bytes("d850 42 3e00")) == [1.5])
        #expect(codeThrown { _ = try decoder.decode([UInt8].self, from: bytes("81 190100")) } == .outOfRange)
        #expect(codeThrown { _ = try decoder.decode([Int8].self, from: bytes("d845 42 8000")) } == .outOfRange)
        #expect(codeThrown { _ = try decoder.decode([Double].self, from: bytes("d856 43 010203")) } == .malformed)
        #expect(codeThrown { _ = try decoder.decode([Double].self, from: bytes("81 6161")) } == .typeMismatch)
    }

    @Test func aSliceIsARangeOfBytes() throws {
        let values = (0..<1000).map(Float.init)
        let encoded = try CBOREncoder().encode(values)
        let array = try #require(CBORTypedArray(prefix: encoded.prefix(CBORTypedArray.prefixSizeBytes)))
        #expect(array.elementType == .float32)
        #expect(array.elementCount == 1000)
        #expect(array.elementStride == 4)
        #expect(array.payloadOffset == 5)
        #expect(array.sizeBytes == encoded.count)
        let range = try #require(array.byteRange(ofElements: 10..<20))
        #expect(try array.decode([Float].self, payload: encoded[range]) == Array(values[10..<20]))
        #expect(try array.decode([Double].self, payload: encoded[range]) == values[10..<20].map(Double.init))
        #expect(array.byteRange(ofElements: 990..<1001) == nil)
        #expect(array.byteRange(ofElements: 1000..<1000)?.isEmpty == true)
        let plainBytes = try #require(
            CBORTypedArray(prefix: try CBOREncoder().encode([UInt8](repeating: 1, count: 300))))
        #expect(plainBytes.elementType == .uint8)
        #expect(plainBytes.elementCount == 300)
        #expect(CBORTypedArray(prefix: bytes("83010203")) == nil)
        #expect(CBORTypedArray(prefix: bytes("d856 43010203")) == nil)
        #expect(CBORTypedArray(prefix: bytes("d856")) == nil)
        #expect(CBORTypedArray(prefix: bytes("d856 5bffffffffffffffff")) == nil)
    }

    @Test func dataIsAByteString() throws {
        let data = Data([1, 2, 3])
        #expect(try CBOREncoder().encode(data) == bytes("43010203"))
        #expect(try CBORDecoder().decode(Data.self, from: bytes("43010203")) == data)
        #expect(try CBORDecoder().decode([Data].self, from: CBOREncoder().encode([data, Data()])) == [data, Data()])
    }

    @Test func datesAreTagOne() throws {
        #expect(try CBOREncoder().encode(Date(timeIntervalSince1970: 1_363_896_240)) == bytes("c11a514b67b0"))
        #expect(try CBOREncoder().encode(Date(timeIntervalSince1970: 1_363_896_240.5)) == bytes("c1fb41d452d9ec200000"))
        for input in ["c11a514b67b0", "1a514b67b0", "c074323031332d30332d32315432303a30343a30305a"] {
            #expect(try CBORDecoder().decode(Date.self, from: bytes(input)).timeIntervalSince1970 == 1_363_896_240)
        }
        #expect(codeThrown { _ = try CBORDecoder().decode(Date.self, from: bytes("6161")) } == .typeMismatch)
    }
}
