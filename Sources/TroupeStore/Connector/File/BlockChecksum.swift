/// The checksum of objects in files of format 2: each block has a sum of its own, so that a block is summed while it is at hand
/// and by whichever thread has it, and the object's sum is made of theirs. Finds bit rot and torn writes; no protection
/// against intent.
enum BlockChecksum {
    /// Fits in a processor's own cache, so that a block is summed where it was just copied. Part of the format.
    static let blockSizeBytes = 256 << 10

    static func blockCount(of sizeBytes: Int) -> Int { (sizeBytes + blockSizeBytes - 1) / blockSizeBytes }

    /// The bytes of a block within an object of this size.
    static func range(ofBlock block: Int, in sizeBytes: Int) -> Range<Int> {
        block * blockSizeBytes..<min((block + 1) * blockSizeBytes, sizeBytes)
    }

    /// The object's sum.
    static func of(blockSums: [UInt64], sizeBytes: Int) -> UInt64 {
        mix(blockSums.reduce(seed, mix), UInt64(sizeBytes))
    }

    /// Eight independent lanes of multiply and shift over 8-byte words, as many as keep a processor's multiplier busy, then
    /// the tail byte by byte, then the length.
    static func of(block: UnsafeRawBufferPointer) -> UInt64 {
        var low: (UInt64, UInt64, UInt64, UInt64) = (seed, seed &+ 1, seed &+ 2, seed &+ 3)
        var high: (UInt64, UInt64, UInt64, UInt64) = (seed &+ 4, seed &+ 5, seed &+ 6, seed &+ 7)
        var offset = 0
        while offset + 64 <= block.count {
            low.0 = mix(low.0, word(block, offset))
            low.1 = mix(low.1, word(block, offset + 8))
            low.2 = mix(low.2, word(block, offset + 16))
            low.3 = mix(low.3, word(block, offset + 24))
            high.0 = mix(high.0, word(block, offset + 32))
            high.1 = mix(high.1, word(block, offset + 40))
            high.2 = mix(high.2, word(block, offset + 48))
            high.3 = mix(high.3, word(block, offset + 56))
            offset += 64
        }
        var sum = mix(mix(mix(low.0, low.1), low.2), low.3)
        sum = mix(mix(mix(mix(sum, high.0), high.1), high.2), high.3)
        for byte in block[offset...] { sum = mix(sum, UInt64(byte)) }
        return mix(sum, UInt64(block.count))
    }

    private static let seed: UInt64 = 0x7472_6f75_7065_0002

    @inline(__always)
    private static func word(_ buffer: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inline(__always)
    private static func mix(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        let product = (sum ^ word) &* 0x9e37_79b9_7f4a_7c15
        return product ^ (product >> 29)
    }
}
