import Testing
import TroupeTesting

@testable import TroupeStore

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct ConnectorConformanceTests {
    @Test(arguments: ConnectorConformance.clauses)
    func memory(_ clause: ConnectorConformance.Clause) async throws {
        try await clause.run(MemoryConnector(capacityBytes: 20_000_000))
    }

    @Test(arguments: ConnectorConformance.clauses, [false, true])
    func file(_ clause: ConnectorConformance.Clause, syncsWrites: Bool) async throws {
        try await withDirectory { directory in
            let options = FileConnector.Options(objectSizeBytesMax: 20_000_000, syncsWrites: syncsWrites)
            try await clause.run(try FileConnector(directory: directory, options: options))
            #expect(!files(under: directory).contains { $0.contains("/.put-") }, "no temporary files are left")
        }
    }
}

@Suite struct MemoryConnectorTests {
    @Test func capacityIsABound() async throws {
        let connector = MemoryConnector(capacityBytes: 100)
        try await connector.put("a", [UInt8](repeating: 0, count: 60))
        #expect(await storeErrorCode { try await connector.put("b", [UInt8](repeating: 0, count: 41)) } == .full)
        try await connector.put("a", [UInt8](repeating: 1, count: 100))
        #expect(connector.totalBytes == 100)
        try await connector.delete("a")
        #expect(connector.totalBytes == 0)
    }

    @Test func expiredObjectsMakeRoom() async throws {
        let time = TestTime()
        let connector = MemoryConnector(capacityBytes: 100, clock: time.clock)
        try await connector.put("a", [UInt8](repeating: 0, count: 90), expiresAfter: .seconds(10))
        time.advance(by: .seconds(9))
        #expect(try await connector.exists("a"))
        #expect(await storeErrorCode { try await connector.put("b", [UInt8](repeating: 0, count: 90)) } == .full)
        time.advance(by: .seconds(1))
        try await connector.put("b", [UInt8](repeating: 0, count: 90))
        #expect(try await connector.get("a") == nil)
    }
}

@Suite struct FileConnectorTests {
    @Test func filesAreOursAlone() async throws {
        try await withDirectory { directory in
            let connector = try FileConnector(directory: "\(directory)/made/deeply")
            try await connector.put("k", [1, 2, 3])
            let file = try #require(files(under: connector.address).first)
            var status = stat()
            try #require(stat(file, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            try #require(stat(connector.address, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o700)
        }
    }

    @Test func damageIsFoundOut() async throws {
        try await withDirectory { directory in
            let connector = try FileConnector(directory: directory)
            let bytes = [UInt8](repeating: 7, count: 1000)
            try await connector.put("k", bytes)
            let file = try #require(files(under: directory).first)
            try overwrite(file, at: 500, with: [8])
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .corrupt)
            try cut(file, to: 600)
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .corrupt)
            #expect(await storeErrorCode { _ = try await connector.get("k", range: 0..<10) } == .corrupt)
            try cut(file, to: 10)
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .foreignData)
            try await connector.put("k", bytes)
            #expect(try await connector.get("k") == bytes, "a damaged object can be put again")
        }
    }

    @Test func othersFilesAreLeftAlone() async throws {
        try await withDirectory { directory in
            let time = TestTime()
            let connector = try FileConnector(directory: directory, options: .init(), clock: time.clock)
            try await connector.put("k", [1], expiresAfter: .seconds(1))
            let file = try #require(files(under: directory).first)
            let bucket = String(file.dropLast("/k.object".count))
            try create("\(bucket)/notes.txt", [1, 2])
            try create("\(bucket)/foreign.object", [1, 2])
            unlink(file)
            symlink("/etc/passwd", file)
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .foreignData)
            unlink(file)
            mkfifo(file, 0o600)
            #expect(await storeErrorCode { _ = try await connector.get("k") } == .foreignData)
            time.advance(by: .seconds(100_000))
            #expect(try connector.sweep().removedCount == 0)
            #expect(files(under: directory).count == 3)
        }
    }

    @Test func sweepIsBoundedAndComplete() async throws {
        try await withDirectory { directory in
            let time = TestTime()
            let connector = try FileConnector(directory: directory, options: .init(), clock: time.clock)
            for number in 0..<300 {
                try await connector.put("k\(number)", [1], expiresAfter: number % 3 == 0 ? nil : .seconds(60))
            }
            #expect(try connector.sweep(visitMax: 1000).removedCount == 0)
            time.advance(by: .seconds(61))
            #expect(try await connector.get("k1") == nil, "an expired object is invisible before any sweep")
            var removed = 0
            var sweeps = 0
            while true {
                let report = try connector.sweep(visitMax: 7)
                #expect(report.visitedCount <= 7)
                removed += report.removedCount
                sweeps += 1
                if report.isComplete { break }
            }
            #expect(removed == 200)
            #expect(sweeps >= 300 / 7)
            #expect(files(under: directory).count == 100)
            #expect(try await connector.get("k3") == [1])
        }
    }

    @Test func leftoversOfDeadWritersAreSwept() async throws {
        try await withDirectory { directory in
            let time = TestTime()
            let connector = try FileConnector(directory: directory, options: .init(), clock: time.clock)
            try await connector.put("k", [1])
            let file = try #require(files(under: directory).first)
            try create(String(file.dropLast("k.object".count)) + ".put-1234", [0])
            #expect(try connector.sweep().removedCount == 0, "its writer may be alive")
            time.advance(by: .seconds(7200))
            #expect(try connector.sweep().removedCount == 1)
            #expect(try await connector.get("k") == [1])
        }
    }

    @Test func directoriesThatCannotBeUsed() async throws {
        try await withDirectory { directory in
            try create("\(directory)/file", [1])
            #expect(await storeErrorCode { _ = try FileConnector(directory: "\(directory)/file") } == .invalidArgument)
            #expect(await storeErrorCode { _ = try FileConnector(directory: "\(directory)/file/x") } == .inputOutput)
            #expect(await storeErrorCode { _ = try FileConnector(directory: "") } == .invalidArgument)
            let options = FileConnector.Options(createsDirectory: false)
            let missing = await storeError { _ = try FileConnector(directory: "\(directory)/no", options: options) }
            #expect(missing?.description.contains("\(directory)/no") == true)
        }
    }

    @Test func checksumSeesEveryByte() {
        let bytes = (0..<101).map { UInt8($0) }
        let sum = Checksum.of(bytes)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 0x80
            #expect(Checksum.of(changed) != sum)
        }
        #expect(Checksum.of(bytes + [0]) != sum)
        #expect(Checksum.of([]) != Checksum.of([0]))
    }
}
