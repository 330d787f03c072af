import Glibc
import Testing
import TroupeCore

@testable import TroupeBroker

@Suite struct JournalBatchTests {
    private let key = JournalKey(.actors, "a")

    private func merged(_ changes: JournalChange...) -> [JournalChange] {
        var batch = JournalBatch()
        for change in changes { batch.add(change) }
        #expect(batch.size == batch.sorted().reduce(0) { $0 + $1.size })
        return batch.sorted()
    }

    @Test func theLastWriteOfARowWins() {
        #expect(merged(.put(key, [1]), .put(key, [2, 3])) == [.put(key, [2, 3])])
        #expect(merged(.insert(key, [1]), .put(key, [2])) == [.insert(key, [2])])
        #expect(merged(.put(key, [1]), .delete(key)) == [.delete(key)])
        #expect(merged(.delete(key), .insert(key, [1])) == [.put(key, [1])])
        #expect(merged(.put(key, [1]), .insert(key, [2])) == [.put(key, [2])])
        #expect(merged(.delete(key), .put(key, [1])) == [.put(key, [1])])
    }

    @Test func whatNeverReachedTheDiskVanishes() {
        #expect(merged(.insert(key, [1]), .delete(key)).isEmpty)
        #expect(merged(.insert(key, [1]), .put(key, [2]), .delete(key)).isEmpty)
        #expect(merged(.delete(key), .insert(key, [1]), .delete(key)) == [.delete(key)])
    }

    @Test func tablesAreApart() {
        let other = JournalKey(.envelopes, "a")
        #expect(merged(.put(other, [2]), .put(key, [1])) == [.put(key, [1]), .put(other, [2])])
    }
}

@Suite struct JournalTests {
    let scratch = Scratch()
    private var path: String { scratch.file("journal.sqlite") }

    private func open(_ level: DurabilityClass = .durable, limit: Int? = nil) throws(BrokerError) -> Journal {
        var options = JournalOptions(durability: level)
        options.sizeBytesMax = limit
        return try Journal.open(path, options: options)
    }

    private func rows(_ journal: Journal, _ table: JournalTable, page: Int = 1000) throws -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        var pages = journal.load(table, rowsPerPage: page)
        while let rows = try pages.next() {
            for row in rows { found[String(decoding: row.key, as: UTF8.self)] = row.value }
        }
        return found
    }

    private func refusal(_ level: DurabilityClass = .durable) -> BrokerError? {
        failure { () throws(BrokerError) in try open(level) }
    }

    @Test(arguments: [DurabilityClass.journaled, .durable]) func remembers(_ level: DurabilityClass) async throws {
        let journal = try open(level)
        try await journal.settled(
            journal.append([
                .insert(JournalKey(.actors, "a"), [1]), .insert(JournalKey(.envelopes, "e"), []),
                .put(JournalKey(.meta, "m"), [0]),
            ]))
        try await journal.settled(
            journal.append([.delete(JournalKey(.meta, "m")), .put(JournalKey(.actors, "a"), [2])]))
        #expect(try rows(journal, .actors) == ["a": [2]])
        try journal.close()
        let again = try open(level)
        #expect(try rows(again, .actors) == ["a": [2]])
        #expect(try rows(again, .envelopes) == ["e": []])
        #expect(try rows(again, .meta).isEmpty)
        try again.close()
    }

    @Test func everyTableHoldsAndPagesRows() async throws {
        let journal = try open()
        for table in JournalTable.allCases {
            _ = try journal.append((0..<25).map { .insert(JournalKey(table, [UInt8(97 + $0)]), [UInt8($0)]) })
        }
        try await journal.settled(journal.append([]))
        for table in JournalTable.allCases {
            #expect(try rows(journal, table, page: 5).count == 25)
            #expect(try rows(journal, table, page: 7).count == 25)
        }
        try journal.close()
    }

    @Test func theClassesAreWhatTheySay() throws {
        let durable = try open(.durable)
        #expect(try durable.setting("journal_mode") == "wal")
        #expect(try durable.setting("synchronous") == "2")
        #expect(try durable.setting("locking_mode") == "exclusive")
        try durable.close()
        let journaled = try open(.journaled)
        #expect(try journaled.setting("synchronous") == "1")
        try journaled.close()
        let volatile = try open(.volatile)
        #expect(volatile.path == nil)
        let called = Collector<Bool>()
        volatile.append([.put(JournalKey(.meta, "m"), [0])]) { _ in called.add(true) }
        #expect(try rows(volatile, .meta).isEmpty)
    }

    @Test func theFileIsOnlyForItsOwner() async throws {
        let journal = try open()
        try await journal.settled(journal.append([.put(JournalKey(.meta, "m"), [0])]))
        for file in [path, path + "-wal"] {
            var status = stat()
            try #require(stat(file, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        #expect(!FileSystem.exists(path + "-shm"))
        try journal.close()
    }

    @Test func manyAppendersShareTransactions() async throws {
        let journal = try open(.journaled)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<100 {
                        await withCheckedContinuation { continuation in
                            journal.append([.insert(JournalKey(.envelopes, "\(task)/\(number)"), [1])]) { _ in
                                continuation.resume()
                            }
                        }
                    }
                }
            }
        }
        #expect(try rows(journal, .envelopes).count == 800)
        try journal.close()
    }

    @Test func anAnswerWithoutChangesWaitsForWhatItMayDependOn() async throws {
        let journal = try open()
        let first = try journal.append([.put(JournalKey(.meta, "m"), [1])])
        let second = try journal.append([])
        #expect(first == second)
        try await journal.settled(second)
        #expect(try rows(journal, .meta) == ["m": [1]])
        // What vanished from its batch settles, too.
        _ = try journal.append([.insert(JournalKey(.meta, "n"), [1])])
        try await journal.settled(journal.append([.delete(JournalKey(.meta, "n"))]))
        try journal.close()
    }

    @Test func aSecondProcessIsTold() throws {
        let journal = try open()
        #expect(try journal.setting("user_version") == "\(JournalHeader.version)")
        let error = refusal()
        #expect(error?.code == .busy)
        #expect(error?.message.contains(path) == true)
        try journal.close()
    }

    @Test func aClosedJournalRefuses() throws {
        let journal = try open()
        try journal.close()
        try journal.close()
        #expect(
            failure { () throws(BrokerError) in try journal.append([.delete(JournalKey(.meta, "m"))]) }?.code == .closed
        )
    }

    @Test(arguments: [DurabilityClass.journaled, .durable]) func aFullFileStopsAcknowledging(
        _ level: DurabilityClass
    ) async throws {
        let journal = try open(level, limit: 200_000)
        var acknowledged: [String] = []
        var refused: BrokerError?
        for number in 0..<100 where refused == nil {
            let key = JournalKey(.envelopes, "\(number)")
            refused = await failure { () async throws(BrokerError) in
                try await journal.settled(journal.append([.insert(key, [UInt8](repeating: 1, count: 10_000))]))
            }
            if refused == nil { acknowledged.append("\(number)") }
        }
        #expect(refused?.code == .diskFull)
        #expect(refused?.message.contains(path) == true)
        #expect(!acknowledged.isEmpty)
        #expect(failure { () throws(BrokerError) in try journal.append([]) }?.code == .diskFull)
        #expect(failure { () throws(BrokerError) in try journal.close() }?.code == .diskFull)
        let again = try open(level)
        #expect(try Set(rows(again, .envelopes).keys) == Set(acknowledged))
        try again.close()
    }

    @Test func foreignFilesAreLeftAsTheyAre() throws {
        let python = try Python(
            """
            import sqlite3, sys
            d = sqlite3.connect(sys.argv[1]); d.execute("create table t(x)"); d.commit(); d.close()
            print("made", flush=True); print("done", flush=True)
            """, [path])
        #expect(try python.line() == "done")
        let before = try FileSystem.read(path)
        #expect(refusal()?.code == .foreignFile)
        #expect(try FileSystem.read(path) == before)
        for bytes in [[], Array("short".utf8), [UInt8](repeating: 0x41, count: 5000), Array("SQLite format 3\0".utf8)] {
            _ = try scratch.write("journal.sqlite", bytes)
            let error = refusal()
            #expect(error?.code == .foreignFile)
            #expect(error?.message.contains(path) == true)
            #expect(try FileSystem.read(path) == bytes)
        }
        FileSystem.remove(path)
        #expect(mkdir(path, 0o700) == 0)
        #expect(refusal() != nil)
    }

    private func filled() async throws -> [UInt8] {
        let journal = try open()
        try await journal.settled(
            journal.append(
                (0..<500).map { .insert(JournalKey(.actors, "\($0)"), [UInt8](repeating: UInt8($0 & 255), count: 300)) }
            ))
        try journal.close()
        return try FileSystem.read(path)
    }

    @Test func newerDamagedAndTruncatedJournalsAreLeftAsTheyAre() async throws {
        let good = try await filled()
        var newer = good
        newer[63] = 9
        var odd = good
        odd[63] = 0
        let cut = Array(good.prefix(good.count / 2))
        for (bytes, code) in [(newer, BrokerError.Code.newerVersion), (odd, .corrupt), (cut, .corrupt)] {
            _ = try scratch.write("journal.sqlite", bytes)
            let error = refusal()
            #expect(error?.code == code)
            #expect(error?.message.contains(path) == true)
            #expect(try FileSystem.read(path) == bytes)
        }
    }

    @Test func afterAnUncleanEndTheJournalIsLookedThrough() async throws {
        var damaged = try await filled()
        for at in damaged.count / 2..<damaged.count / 2 + 8192 { damaged[at] = 0xff }
        _ = try scratch.write("journal.sqlite", damaged)
        _ = try scratch.write("journal.sqlite-wal", [UInt8](repeating: 0, count: 64))
        #expect(refusal()?.code == .corrupt)
    }

    @Test func aTornLogLosesOnlyWhatWasNotAcknowledged() async throws {
        let journal = try open()
        for number in 0..<10 {
            try await journal.settled(journal.append([.insert(JournalKey(.actors, "\(number)"), [1])]))
        }
        // What a killed process leaves: the file and its log, the log's last transaction half written.
        let copy = scratch.file("copy.sqlite")
        _ = try scratch.write("copy.sqlite", FileSystem.read(path))
        let log = try FileSystem.read(path + "-wal")
        _ = try scratch.write("copy.sqlite-wal", log + [UInt8](repeating: 0x5a, count: 3000))
        let whole = try Journal.open(copy, options: JournalOptions(durability: .durable))
        #expect(try rows(whole, .actors).count == 10)
        try whole.close()
        _ = try scratch.write("copy.sqlite", FileSystem.read(path))
        _ = try scratch.write("copy.sqlite-wal", log.dropLast(100))
        let torn = try Journal.open(copy, options: JournalOptions(durability: .durable))
        #expect(try rows(torn, .actors).count == 9)
        try torn.close()
        try journal.close()
    }

    @Test func placesThatCannotBeWritten() {
        for bad in ["/sys/troupe/journal.sqlite", "/nowhere/journal.sqlite", scratch.path + "/"] {
            let error = failure { () throws(BrokerError) in
                try Journal.open(bad, options: JournalOptions(durability: .durable))
            }
            #expect(error?.message.contains(bad.split(separator: "/")[0]) == true)
        }
    }

    @Test func aHalfMadeJournalIsMadeAnew() async throws {
        _ = try scratch.write("journal.sqlite.new", [1, 2, 3])
        let journal = try open()
        try journal.close()
        #expect(!FileSystem.exists(path + ".new"))
    }

    /// Rows of older versions had no checksums; they get them, and the version, in one transaction.
    @Test(arguments: [1, 2]) func aJournalOfAnOlderVersionIsBroughtToThisOne(_ version: Int) async throws {
        let journal = try open()
        for number in 0..<250 {
            _ = try journal.append([.insert(JournalKey(.envelopes, "e\(1000 + number)"), [UInt8(number), 7])])
        }
        try await journal.settled(journal.append([.put(JournalKey(.actors, "a"), [])]))
        try journal.close()
        let python = try Python(
            """
            import sqlite3, sys
            d = sqlite3.connect(sys.argv[1])
            for table in sys.argv[3:]:
                d.execute(f"update {table} set value = coalesce(substr(value, 1, length(value) - 4), x'')")
            d.execute("pragma user_version = " + sys.argv[2]); d.commit(); d.close()
            print("made", flush=True); print("done", flush=True)
            """, [path, "\(version)"] + JournalTable.allCases.map(\.rawValue))
        #expect(try python.line() == "done")
        for _ in 1...2 {
            let again = try open()
            #expect(try again.setting("user_version") == "\(JournalHeader.version)")
            let envelopes = try rows(again, .envelopes)
            #expect(envelopes.count == 250)
            #expect(envelopes["e1201"] == [201, 7])
            #expect(try rows(again, .actors) == ["a": []])
            try again.close()
        }
    }

    @Test func aRowThatIsNotAsItWasWrittenIsNamed() async throws {
        let journal = try open()
        try await journal.settled(journal.append([.put(JournalKey(.actors, "pRobin"), [1, 2, 3])]))
        try journal.close()
        let python = try Python(
            """
            import sqlite3, sys
            d = sqlite3.connect(sys.argv[1])
            d.execute("update actors set value = x'010203' || substr(value, 4)"); d.commit()
            d.execute("update actors set value = x'010303' || substr(value, 4)"); d.commit(); d.close()
            print("made", flush=True); print("done", flush=True)
            """, [path])
        #expect(try python.line() == "done")
        let again = try open()
        let error = #expect(throws: BrokerError.self) { try rows(again, .actors) }
        #expect(error?.code == .corrupt)
        for part in [path, "pRobin", "restore a copy"] { #expect(error?.message.contains(part) == true) }
        try again.close()
    }
}
