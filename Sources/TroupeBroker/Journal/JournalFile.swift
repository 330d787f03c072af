import FoundationEssentials
import GRDB
import Glibc
import TroupeCore

/// The SQLite file of a journal: opens it with distrust, writes batches, reads pages.
///
/// Used by one thread at a time, which `DatabaseQueue` sees to.
struct JournalFile: Sendable {
    let path: String
    /// Whether it was made by this opening.
    let isNew: Bool
    private let database: DatabaseQueue

    /// Opens the journal, or makes a new one where there is no file.
    ///
    /// - Throws: `foreignFile`, `corrupt` or `newerVersion` when the file is not one that this code may write to, which
    ///   is then left as it is, unless only SQLite could find out: on closing it moves a log as far as that is right;
    ///   `busy`, `permission`, `diskFull`, `inputOutput`.
    init(_ path: String, options: JournalOptions) throws(BrokerError) {
        self.path = path
        isNew = try !JournalFile.exists(path)
        if isNew { try JournalFile.create(path) }
        try JournalHeader.check(path)
        if let damage = try JournalLog(path + "-wal").damage(options.durability == .durable) {
            throw JournalHeader.corrupt(path, damage)
        }
        do {
            database = try DatabaseQueue(path: path, configuration: JournalFile.configuration(options))
            try database.writeWithoutTransaction { db in
                try JournalFile.quickCheck(db)
                try JournalFile.checkTables(db)
                try JournalFile.upgrade(db, path)
                // Members are going to be told of what a process left in the log without a sync: it must last from now on.
                try JournalFile.emptyLog(db)
                if let limit = options.sizeBytesMax {
                    let page = try Int.fetchOne(db, sql: "PRAGMA page_size") ?? 4096
                    _ = try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(max(1, limit / page))")
                }
            }
        } catch {
            throw JournalFile.explain(error, path)
        }
    }

    private static func exists(_ path: String) throws(BrokerError) -> Bool {
        if FileSystem.exists(path) { return true }
        guard !path.hasSuffix("/") else {
            throw BrokerError(.inputOutput, "\(path) names a directory, not a journal file.")
        }
        return false
    }

    /// Makes the file aside and puts it in place when it is complete, so that no half-made journal is ever found.
    private static func create(_ path: String) throws(BrokerError) {
        let fresh = path + ".new"
        FileSystem.remove(fresh)
        do throws(BrokerError) {
            _ = try SystemFile(fresh, O_RDWR | O_CREAT | O_EXCL)
            do {
                let database = try DatabaseQueue(path: fresh)
                try database.write { db in
                    for table in JournalTable.allCases {
                        try db.execute(sql: JournalFile.definition(table))
                    }
                    try db.execute(sql: "PRAGMA application_id = \(JournalHeader.applicationID)")
                    try db.execute(sql: "PRAGMA user_version = \(JournalHeader.version)")
                }
                try database.close()
            } catch {
                throw explain(error, path)
            }
            guard unsafe link(fresh, path) == 0 else { throw SystemFailure(errno).at(path, "make") }
            FileSystem.remove(fresh)
            try FileSystem.syncDirectory(of: path)
        } catch {
            FileSystem.remove(fresh)
            throw error
        }
    }

    private static func definition(_ table: JournalTable) -> String {
        "CREATE TABLE \(table.rawValue)(key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
    }

    private static func configuration(_ options: JournalOptions) -> Configuration {
        var configuration = Configuration()
        configuration.label = "troupe.journal"
        configuration.busyMode = .timeout(2)
        let synchronous = options.durability == .durable ? "FULL" : "NORMAL"
        configuration.prepareDatabase { db in
            // One process at a time; SQLite then needs no shared memory, and a second one is told.
            try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            try db.execute(sql: "PRAGMA journal_mode = WAL")
            try db.execute(sql: "PRAGMA synchronous = \(synchronous)")
            try db.execute(sql: "PRAGMA wal_autocheckpoint = \(options.checkpointPages)")
        }
        return configuration
    }

    /// Brings a journal of an older version to this one, in one transaction: an older program must not read what this one
    /// writes. The file's header may be older than what the log says.
    private static func upgrade(_ db: Database, _ path: String) throws {
        let found = try UInt32.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        try JournalHeader.check(version: found, path)
        guard found < JournalHeader.version else { return }
        try db.inTransaction(.immediate) {
            if found < JournalHeader.versionOfChecksums {
                for table in JournalTable.allCases { try addChecksums(to: table, db) }
            }
            try db.execute(sql: "PRAGMA user_version = \(JournalHeader.version)")
            return .commit
        }
    }

    private static func addChecksums(to table: JournalTable, _ db: Database) throws {
        let update = try db.makeStatement(sql: "UPDATE \(table.rawValue) SET value = ? WHERE key = ?")
        var last: Data?
        while true {
            let condition = last == nil ? "" : "WHERE key > ?"
            let sql = "SELECT key, value FROM \(table.rawValue) \(condition) ORDER BY key LIMIT 100"
            let rows = try Row.fetchAll(db, sql: sql, arguments: last.map { [$0] } ?? [])
            for row in rows {
                let key = bytes(row, 0)
                try update.execute(arguments: [Data(RowChecksum.sealed(bytes(row, 1), table, key)), Data(key)])
            }
            guard let final = rows.last else { return }
            last = Data(bytes(final, 0))
        }
    }

    private static func quickCheck(_ db: Database) throws {
        let findings = try String.fetchAll(db, sql: "PRAGMA quick_check(1)")
        guard findings == ["ok"] else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: findings.first ?? "")
        }
    }

    private static func checkTables(_ db: Database) throws {
        let found = try Set(String.fetchAll(db, sql: "SELECT sql FROM sqlite_master WHERE type = 'table'"))
        for table in JournalTable.allCases where !found.contains(definition(table)) {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the table \(table.rawValue) is missing")
        }
    }

    /// Writes the changes in one transaction.
    func write(_ changes: [JournalChange]) throws(BrokerError) {
        do {
            try database.writeWithoutTransaction { db in
                try db.inTransaction(.immediate) {
                    for change in changes { try JournalFile.write(change, db) }
                    return .commit
                }
            }
        } catch {
            throw JournalFile.explain(error, path)
        }
    }

    private static func write(_ change: JournalChange, _ db: Database) throws {
        switch change {
        case .insert(let key, let value), .put(let key, let value):
            let statement = try db.cachedStatement(sql: "INSERT OR REPLACE INTO \(key.table.rawValue) VALUES (?, ?)")
            try statement.execute(arguments: [Data(key.bytes), Data(RowChecksum.sealed(value, key.table, key.bytes))])
        case .delete(let key):
            let statement = try db.cachedStatement(sql: "DELETE FROM \(key.table.rawValue) WHERE key = ?")
            try statement.execute(arguments: [Data(key.bytes)])
        }
    }

    /// At most `limit` rows after the key, in the order of their keys.
    func rows(
        _ table: JournalTable, after key: [UInt8]?, limit: Int
    ) throws(BrokerError) -> [(key: [UInt8], value: [UInt8])] {
        do {
            return try database.read { db in
                let condition = key == nil ? "" : "WHERE key > ?"
                let sql = "SELECT key, value FROM \(table.rawValue) \(condition) ORDER BY key LIMIT \(limit)"
                let rows = try Row.fetchCursor(db, sql: sql, arguments: key.map { [Data($0)] } ?? [])
                var found: [(key: [UInt8], value: [UInt8])] = []
                while let row = try rows.next() {
                    let key = JournalFile.bytes(row, 0)
                    guard let value = RowChecksum.opened(JournalFile.bytes(row, 1), table, key) else {
                        throw JournalHeader.corruptWithin(
                            path, "the row '\(JournalFile.shown(key))' is not as it was written")
                    }
                    found.append((key, value))
                }
                return found
            }
        } catch {
            throw JournalFile.explain(error, path)
        }
    }

    /// A key for people.
    private static func shown(_ key: [UInt8]) -> String {
        String(decoding: key.prefix(80).map { (0x20..<0x7F).contains($0) ? $0 : UInt8(ascii: ".") }, as: UTF8.self)
    }

    private static func bytes(_ row: Row, _ index: Int) -> [UInt8] {
        guard let data = row[index] as Data? else { return [] }
        return Array(data)
    }

    /// The values of settings, for tests and for `exchange info`.
    func setting(_ name: String) throws(BrokerError) -> String {
        do {
            return try database.read { try String.fetchOne($0, sql: "PRAGMA \(name)") ?? "" }
        } catch {
            throw JournalFile.explain(error, path)
        }
    }

    /// Moves the log into the file and closes both, so that the next opening finds a clean end. What cannot be moved stays
    /// in the log.
    func close() throws(BrokerError) {
        let moved = Result { try database.writeWithoutTransaction { db in try JournalFile.emptyLog(db) } }
        do {
            try database.close()
            try moved.get()
        } catch {
            throw JournalFile.explain(error, path)
        }
    }

    /// Moves the log into the file, and syncs that.
    private static func emptyLog(_ db: Database) throws {
        try db.execute(sql: "PRAGMA wal_checkpoint(TRUNCATE)")
    }

    /// What an SQLite error means to the user.
    static func explain(_ error: any Error, _ path: String) -> BrokerError {
        if let error = error as? BrokerError { return error }
        guard let error = error as? DatabaseError else {
            return BrokerError(.inputOutput, "The journal \(path) failed: \(error)")
        }
        let words = error.message ?? error.resultCode.description
        return switch error.resultCode {
        case .SQLITE_FULL:
            BrokerError(
                .diskFull,
                "The journal \(path) cannot grow: its disk or its size limit is full. Free space, and a running broker goes on by itself; or start it with a higher limit. Nothing acknowledged is lost."
            )
        case .SQLITE_CORRUPT:
            BrokerError(
                .corrupt,
                "The journal \(path) is damaged (\(words)). Nothing was repaired: restore a copy, or move it away to start anew."
            )
        case .SQLITE_NOTADB:
            BrokerError(
                .foreignFile,
                "\(path) is not a journal of Troupe (\(words)). It was left as it is: choose another directory.")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            BrokerError(.busy, "Another process has the journal \(path) open: stop it, or choose another directory.")
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN, .SQLITE_AUTH:
            BrokerError(
                .permission,
                "Not allowed to write the journal \(path) (\(words)): check the owner and mode of file and directory.")
        default:
            BrokerError(
                .inputOutput,
                "The journal \(path) failed: \(words) (SQLite \(error.extendedResultCode.rawValue)). Check the disk; a running broker goes on by itself when it can, another has to be started again."
            )
        }
    }
}
