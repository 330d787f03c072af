/// What follows the head in an object's file.
///
/// Blocks are summed as they are copied from or to the kernel: the payload passes through memory once, and a large one is
/// read by several threads. Writing is left to one, as file systems let only one write to a file at a time.
struct ObjectPayload {
    let file: PosixFile

    /// Writes the payload and returns its checksum.
    func write(_ bytes: [UInt8]) throws(StoreError) -> UInt64 {
        let count = BlockChecksum.blockCount(of: bytes.count)
        var sums: [UInt64] = []
        sums.reserveCapacity(count)
        for block in 0..<count {
            let range = BlockChecksum.range(ofBlock: block, in: bytes.count)
            sums.append(bytes.withUnsafeBytes { BlockChecksum.of(block: UnsafeRawBufferPointer(rebasing: $0[range])) })
            try file.write(bytes[range], at: ObjectFileHeader.sizeBytes + range.lowerBound)
        }
        return BlockChecksum.of(blockSums: sums, sizeBytes: bytes.count)
    }

    /// All of it, checked.
    func whole(_ header: ObjectFileHeader) throws(StoreError) -> [UInt8] {
        let bytes: [UInt8]
        let checksum: UInt64
        switch header.format {
        case .one:
            bytes = try file.read(at: ObjectFileHeader.sizeBytes, count: header.payloadSizeBytes)
            checksum = Checksum.of(bytes)
        case .two: (bytes, checksum) = try readBlocks(sizeBytes: header.payloadSizeBytes)
        }
        guard bytes.count == header.payloadSizeBytes, checksum == header.checksum else { throw damaged }
        return bytes
    }

    /// A part of it, which has no checksum.
    func part(_ range: Range<Int>) throws(StoreError) -> [UInt8] {
        let bytes = try file.read(at: ObjectFileHeader.sizeBytes + range.lowerBound, count: range.count)
        guard bytes.count == range.count else { throw damaged }
        return bytes
    }

    private func readBlocks(sizeBytes: Int) throws(StoreError) -> (bytes: [UInt8], checksum: UInt64) {
        var sums = [UInt64](repeating: 0, count: BlockChecksum.blockCount(of: sizeBytes))
        var failure: StoreError?
        let bytes = [UInt8](unsafeUninitializedCapacity: sizeBytes) { buffer, filled in
            sums.withUnsafeMutableBufferPointer { sums in
                do throws(StoreError) {
                    try readBlocks(into: UnsafeMutableRawBufferPointer(buffer.extracting(..<sizeBytes)), sums)
                    filled = sizeBytes
                } catch { failure = error }
            }
        }
        if let failure { throw failure }
        return (bytes, BlockChecksum.of(blockSums: sums, sizeBytes: sizeBytes))
    }

    private func readBlocks(
        into buffer: UnsafeMutableRawBufferPointer, _ sums: UnsafeMutableBufferPointer<UInt64>
    ) throws(StoreError) {
        // Each block is one thread's alone, and all threads are done when this function returns.
        nonisolated(unsafe) let (buffer, sums) = (buffer, sums)
        try BlockShares.perform(sizeBytes: buffer.count) { blocks throws(StoreError) in
            for block in blocks {
                let range = BlockChecksum.range(ofBlock: block, in: buffer.count)
                let target = UnsafeMutableRawBufferPointer(rebasing: buffer[range])
                let count = try file.read(at: ObjectFileHeader.sizeBytes + range.lowerBound, into: target)
                guard count == range.count else { throw damaged }
                sums[block] = BlockChecksum.of(block: UnsafeRawBufferPointer(target))
            }
        }
    }

    private var damaged: StoreError {
        StoreError(.corrupt, "\(file.path) does not match its checksum; delete it and put the object again")
    }
}
