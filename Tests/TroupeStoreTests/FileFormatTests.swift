import Dispatch
import Testing

@testable import TroupeStore

/// Bytes that differ from block to block. They are doubled, not computed, as builds for tests are slow at that.
private func objectBytes(_ count: Int) -> [UInt8] {
    var bytes = (0..<1009).map { UInt8(truncatingIfNeeded: $0 &* 0x9e37_79b9 >> 9) }
    while bytes.count < count { bytes += bytes }
    return Array(bytes.prefix(count))
}

@Suite struct FileFormatTests {
    private static let block = BlockChecksum.blockSizeBytes
    private static let head = ObjectFileHeader.sizeBytes

    @Test func sizesAtTheBordersOfBlocksAndShares() async throws {
        let shared = 2 * BlockShares.sizeBytesMin
        #expect(BlockShares.count(sizeBytes: shared - 1) == 1 && BlockShares.count(sizeBytes: shared) == 2)
        try await withDirectory { directory in
            let connector = try FileConnector(directory: directory)
            for size in [0, 1, Self.block - 1, Self.block, Self.block + 1, 3 * Self.block + 7, shared, shared + 1] {
                let bytes = objectBytes(size)
                try await connector.put("k", bytes)
                #expect(try await connector.get("k") == bytes, "\(size) bytes")
                #expect(try await connector.get("k", sizeBytes: size) == bytes)
                let middle = size / 3..<size / 2
                #expect(try await connector.get("k", range: middle) == Array(bytes[middle]))
                #expect(try await connector.sizeBytes("k") == size)
            }
        }
    }

    @Test func damageIsFoundInEveryBlock() async throws {
        try await withDirectory { directory in
            let connector = try FileConnector(directory: directory)
            let bytes = objectBytes(2 * BlockShares.sizeBytesMin + 100)
            try await connector.put("k", bytes)
            let file = try #require(files(under: directory).first)
            for block in 0..<BlockChecksum.blockCount(of: bytes.count) {
                let range = BlockChecksum.range(ofBlock: block, in: bytes.count)
                for index in [range.lowerBound, range.upperBound - 1] {
                    try overwrite(file, at: Self.head + index, with: [bytes[index] ^ 1])
                    #expect(await storeErrorCode { _ = try await connector.get("k") } == .corrupt, "byte \(index)")
                    try overwrite(file, at: Self.head + index, with: [bytes[index]])
                }
            }
            #expect(try await connector.get("k") == bytes)
        }
    }

    @Test func tornAndSwappedBlocksAreFound() async throws {
        try await withDirectory { directory in
            let connector = try FileConnector(directory: directory)
            let bytes = objectBytes(4 * Self.block)
            try await connector.put("k", bytes)
            let file = try #require(files(under: directory).first)
            // What a power cut leaves of a write: the file's size, and zeros where a block did not arrive.
            try overwrite(file, at: Self.head + 2 * Self.block, with: [UInt8](repeating: 0, count: Self.block))
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .corrupt)
            let (third, fourth) = (bytes[2 * Self.block..<3 * Self.block], bytes[(3 * Self.block)...])
            try overwrite(file, at: Self.head + 2 * Self.block, with: Array(fourth + third))
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .corrupt)
            try overwrite(file, at: Self.head + 2 * Self.block, with: Array(third + fourth))
            #expect(try await connector.get("k") == bytes)
        }
    }

    @Test func filesOfFormatOneAreStillRead() async throws {
        try await withDirectory { directory in
            let connector = try FileConnector(directory: directory)
            let bytes = objectBytes(2 * Self.block + 5)
            try await connector.put("k", [1])
            let file = try #require(files(under: directory).first)
            let header = ObjectFileHeader(
                format: .one, expiresAt: 0, payloadSizeBytes: bytes.count, checksum: Checksum.of(bytes))
            try overwrite(file, at: 0, with: header.encoded + bytes)
            #expect(try await connector.get("k") == bytes)
            #expect(try await connector.get("k", range: 10..<20) == Array(bytes[10..<20]))
            #expect(try await connector.touch("k", expiresAfter: .seconds(1000)))
            #expect(try await connector.get("k") == bytes, "a changed expiry leaves the format as it is")
            try overwrite(file, at: Self.head + bytes.count - 1, with: [0xff ^ bytes[bytes.count - 1]])
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .corrupt)
            try await connector.put("k", bytes)
            #expect(try await connector.get("k") == bytes)
            let format = try #require(try PosixFile.open(file)).read(at: 4, count: 1)
            #expect(format == [2], "what is written is of format 2")
        }
    }

    @Test func formatsOfTheFutureAreLeftAlone() async throws {
        try await withDirectory { directory in
            let connector = try FileConnector(directory: directory)
            try await connector.put("k", [1, 2, 3])
            let file = try #require(files(under: directory).first)
            try overwrite(file, at: 4, with: [3])
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .foreignData)
            try overwrite(file, at: 4, with: [2, 1])
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .foreignData)
        }
    }

    @Test func checksumsAreThoseOfEarlierVersions() {
        let bytes = (0..<101).map { UInt8($0) }
        #expect(Checksum.of(bytes) == 0x83c3_0aa8_5925_6a0c)
        let sum = bytes.withUnsafeBytes { BlockChecksum.of(block: $0) }
        #expect(BlockChecksum.of(blockSums: [sum], sizeBytes: bytes.count) == 0xd57_67ef_c914_5db1)
    }

    @Test func blockChecksumSeesEveryByte() {
        let bytes = (0..<149).map { UInt8($0) }
        func sum(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { BlockChecksum.of(block: $0) } }
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x80
            #expect(sum(changed) != sum(bytes))
        }
        #expect(sum(bytes + [0]) != sum(bytes))
        #expect(sum([]) != sum([0]))
    }

    @Test func readersOfALargeObjectSeeOneOrTheOther() async throws {
        try await withDirectory { directory in
            let connector = try FileConnector(directory: directory)
            let first = objectBytes(2 * BlockShares.sizeBytesMin + 1)
            let second = [UInt8](first.reversed())
            try await connector.put("k", first)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for bytes in [second, first, second, first] { try await connector.put("k", bytes) } }
                for _ in 0..<4 {
                    group.addTask {
                        for _ in 0..<3 {
                            let seen = try await connector.get("k")
                            #expect(seen == first || seen == second)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await connector.get("k") == first)
        }
    }
}

@Suite struct BlockingLanesTests {
    private let lanes = BlockingLanes()

    @Test func aCancelledWaitNeverBegins() async throws {
        let release = DispatchSemaphore(value: 0)
        let (begun, beginning) = AsyncStream<Void>.makeStream()
        async let holder = lanes.run("k", elsewhere: true) { () throws(StoreError) in
            beginning.finish()
            release.wait()
            return 1
        }
        for await _ in begun {}
        let waiting = Task { try await lanes.run("k", elsewhere: true) { () throws(StoreError) in 2 } }
        waiting.cancel()
        #expect(await storeErrorCode { _ = try await waiting.value } == .cancelled)
        release.signal()
        #expect(try await holder == 1)
        #expect(try await lanes.run("k", elsewhere: true) { () throws(StoreError) in 3 } == 3)
    }

    @Test(arguments: [false, true]) func aBodyThatHasBegunIsLeftOnlyIfItMayBe(_ mayBeLeft: Bool) async throws {
        let release = DispatchSemaphore(value: 0)
        let (begun, beginning) = AsyncStream<Void>.makeStream()
        let running = Task {
            try await lanes.run("k", elsewhere: true, mayBeLeft: mayBeLeft) { () throws(StoreError) in
                beginning.finish()
                release.wait()
                return 1
            }
        }
        for await _ in begun {}
        running.cancel()
        if mayBeLeft {
            #expect(await storeErrorCode { _ = try await running.value } == .cancelled)
            release.signal()
        } else {
            release.signal()
            #expect(try await running.value == 1)
        }
    }

    @Test func whatABodyThrowsArrives() async {
        let code = await storeErrorCode {
            try await lanes.run("k", elsewhere: true) { () throws(StoreError) in throw StoreError(.full, "no room") }
        }
        #expect(code == .full)
    }

    @Test func sharesAreAllBlocksOnceAndTellOfFailures() throws {
        let size = 4 * BlockShares.sizeBytesMin + 1
        let counts = Counts(BlockChecksum.blockCount(of: size))
        try BlockShares.perform(sizeBytes: size) { blocks throws(StoreError) in
            for block in blocks { counts.add(block) }
        }
        #expect(counts.all.allSatisfy { $0 == 1 })
        #expect(throws: StoreError.self) {
            try BlockShares.perform(sizeBytes: size) { blocks throws(StoreError) in
                if blocks.contains(0) { throw StoreError(.full, "no room") }
            }
        }
    }
}
