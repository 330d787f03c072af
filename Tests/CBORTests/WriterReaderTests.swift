import CBOR
import Testing

@Suite struct WriterReaderTests {
    @Test func writesAndReadsAnEnvelope() throws {
        var writer = CBORWriter(capacity: 32)
        writer.writeArrayHeader(11)
        writer.writeUnsigned(.max)
        writer.writeInt(Int64.min)
        writer.writeText("hé")
        writer.writeBytes([1, 2, 3])
        writer.writeBytes([9, 8, 7][1...])
        writer.writeMapHeader(1)
        writer.writeInt(-1)
        writer.writeBool(true)
        writer.writeNull()
        writer.writeUndefined()
        writer.writeDouble(1.1)
        writer.writeFloat(0.5)
        writer.writeTag(7)
        writer.writeSimple(99)
        var reader = CBORReader(writer.bytes)
        #expect(try reader.readArrayHeader() == 11)
        #expect(try reader.readUnsigned() == .max)
        #expect(try reader.readInt64() == .min)
        #expect(try reader.readText() == "hé")
        #expect(try reader.readBytes() == [1, 2, 3])
        #expect(try reader.readBytes() == [8, 7])
        #expect(try reader.readMapHeader() == 1)
        #expect(try reader.readInt() == -1)
        #expect(try reader.readBool())
        try reader.readNull()
        #expect(try reader.readNullIfPresent())
        #expect(try reader.readDouble() == 1.1)
        #expect(try reader.readFloat() == 0.5)
        #expect(try reader.readTag() == 7)
        #expect(try reader.readSimple() == 99)
        try reader.finish()
    }

    @Test func peeksSkipsAndTakesEncodedItems() throws {
        let input = bytes("8301a1616182f6f55f4101ff 6162")
        var reader = CBORReader(input)
        #expect(try reader.peek() == .array)
        #expect(try reader.readEncoded() == input.dropLast(2))
        #expect(reader.offset == input.count - 2)
        #expect(try reader.peek() == .text)
        try reader.skip()
        #expect(reader.isAtEnd)
        #expect(codeThrown { _ = try reader.peek() } == .truncated)
    }

    @Test func offsetsCountFromTheStartOfASlice() throws {
        let input = bytes("000000 01 61")
        var reader = CBORReader(input[3...])
        #expect(try reader.readInt() == 1)
        #expect(reader.offset == 1)
        let error = #expect(throws: CBORError.self) { try reader.readText() }
        #expect(error?.offset == 2)
    }

    @Test func wrongTypesAreNamed() throws {
        var reader = CBORReader(bytes("6161"))
        let error = #expect(throws: CBORError.self) { try reader.readUnsigned() }
        #expect(error?.code == .typeMismatch)
        #expect(
            error?.description == "CBOR typeMismatch: expected an unsigned integer, found a text string (at byte 0)")
        #expect(try reader.readText() == "a")
    }

    @Test func claimedCountsNeverExceedTheInput() {
        for input in [
            "9bffffffffffffffff", "bb7fffffffffffffff01", "9a00ffffff0102", "5b7fffffffffffffff",
            "7bffffffffffffffff61",
        ] {
            var reader = CBORReader(bytes(input))
            #expect(codeThrown { try reader.skip() } == .truncated, "\(input)")
        }
        var reader = CBORReader(bytes("9b7fffffffffffffff"))
        #expect(codeThrown { _ = try reader.readArrayHeader() } == .truncated)
        reader = CBORReader(bytes("bbffffffffffffffff"))
        #expect(codeThrown { _ = try reader.readMapHeader() } == .truncated)
    }

    @Test func everyHalfSurvives() throws {
        for bits in 0...UInt16.max {
            var reader = CBORReader([0xf9, UInt8(bits >> 8), UInt8(bits & 0xff)])
            let value = try reader.readDouble()
            var writer = CBORWriter()
            writer.writeDouble(value)
            if value.isNaN {
                #expect(writer.bytes == [0xf9, 0x7e, 0x00])
            } else if writer.bytes != [0xf9, UInt8(bits >> 8), UInt8(bits & 0xff)] {
                Issue.record("half \(String(bits, radix: 16)) became \(hex(writer.bytes))")
            }
        }
    }

    @Test(arguments: [
        (0x1p-25, "fa33000000"), (65505.0, "fa477fe100"), (16777216.0, "fa4b800000"),
        (16777217.0, "fb4170000010000000"),
        (Double(Float.leastNonzeroMagnitude), "fa00000001"),
        (Double.greatestFiniteMagnitude, "fb7fefffffffffffff"),
    ]) func floatsAreShortest(_ value: Double, _ encoding: String) throws {
        #expect(hex(try CBOREncoder().encode(value)) == encoding)
        #expect(try CBORDecoder().decode(Double.self, from: bytes(encoding)) == value)
    }
}
