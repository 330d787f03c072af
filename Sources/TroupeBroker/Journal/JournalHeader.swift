import Glibc

/// The first 100 bytes of an SQLite file (sqlite.org/fileformat2.html), read before SQLite itself touches the file: what is
/// not ours is never opened for writing.
enum JournalHeader {
    /// "TRPJ".
    static let applicationID: UInt32 = 0x5452_504a
    /// 1: rows without checksums. 2: may hold an outbox and what came from others' outboxes. 3: each row ends with a
    /// checksum (``RowChecksum``), and the journal tells its history.
    static let version: UInt32 = 3
    static let oldestVersion: UInt32 = 1
    static let versionOfChecksums: UInt32 = 3
    private static let bytes = 100
    private static let magic = Array("SQLite format 3\0".utf8)

    /// Checks the header, and the length of a journal that was closed.
    static func check(_ path: String) throws(BrokerError) {
        let file = try SystemFile(path, O_RDWR)
        let header = try file.read(upTo: bytes)
        let status = file.status
        guard status.st_mode & S_IFMT == S_IFREG else { throw foreign(path, "it is not a plain file") }
        guard header.count == bytes else { throw foreign(path, "it has only \(header.count) bytes") }
        guard header.starts(with: magic) else { throw foreign(path, "it is no SQLite file") }
        guard number(header, 68) == applicationID else { throw foreign(path, "another program made it") }
        try check(version: number(header, 60), path)
        guard (FileSystem.size(path + "-wal") ?? 0) == 0 else { return }
        try checkLength(header, Int(status.st_size), path)
    }

    static func check(version found: UInt32, _ path: String) throws(BrokerError) {
        guard found <= version else {
            throw BrokerError(
                .newerVersion,
                "The journal \(path) has version \(found), and this Troupe writes version \(version). It was left as it is: use the newer Troupe."
            )
        }
        guard found >= oldestVersion else { throw corrupt(path, "its version is \(found)") }
    }

    private static func checkLength(_ header: [UInt8], _ size: Int, _ path: String) throws(BrokerError) {
        let stored = Int(header[16]) << 8 | Int(header[17])
        let pageSize = stored == 1 ? 65536 : stored
        let expected = Int(number(header, 28)) * pageSize
        guard size >= expected else { throw corrupt(path, "it is cut short: \(size) of \(expected) bytes") }
    }

    private static func number(_ header: [UInt8], _ at: Int) -> UInt32 {
        header[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func foreign(_ path: String, _ why: String) -> BrokerError {
        BrokerError(
            .foreignFile,
            "\(path) is not a journal of Troupe: \(why). It was left as it is: choose another directory, or move it away."
        )
    }

    /// Of damage that is found when the file is open, and its log may have been moved into it.
    static func corruptWithin(_ path: String, _ why: String) -> BrokerError {
        BrokerError(
            .corrupt,
            "The journal \(path) is damaged: \(why). Nothing was repaired: restore a copy, or move it away to start anew."
        )
    }

    static func corrupt(_ path: String, _ why: String) -> BrokerError {
        BrokerError(
            .corrupt,
            "The journal \(path) is damaged: \(why). It was left as it is: restore a copy, or move it away to start anew."
        )
    }
}
