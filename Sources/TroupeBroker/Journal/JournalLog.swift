import Glibc

/// A journal's write-ahead log as it is found at start (sqlite.org/fileformat2.html, section 4), before SQLite touches it.
///
/// SQLite uses a log up to the first frame that is not right, and takes what comes behind for the torn end of a write. This
/// looks whether it can be that: what was synced, or acknowledged as such, must not be cut silently.
struct JournalLog {
    /// Whole transactions up to the first frame that is not right.
    private(set) var transactions = 0
    /// Ends of transactions of the same log at or behind that frame.
    private(set) var endsBehind = 0
    /// Frames are there, and the header that was synced before them is not right.
    private(set) var isHeaderDamaged = false

    private static let headerSize = 32
    private static let frameHeaderSize = 24

    /// What is to be said of the log; nil if nothing is wrong with it.
    func damage(_ isSyncedByTransaction: Bool) -> String? {
        if isHeaderDamaged { return "the header of its log is not right" }
        // A transaction that is synced before the next one begins can only be torn if it is the last.
        guard isSyncedByTransaction, endsBehind > 1 else { return nil }
        return "its log is not right behind \(transactions) transactions, and \(endsBehind) more follow"
    }

    /// Reads the log at the path, if there is one.
    init(_ path: String) throws(BrokerError) {
        guard let size = FileSystem.size(path), size > Self.headerSize else { return }
        let file = try SystemFile(path, O_RDONLY)
        let header = try file.read(upTo: Self.headerSize)
        guard let checksum = LogChecksum(header: header) else {
            isHeaderDamaged = true
            return
        }
        try scan(file, size, header, checksum)
    }

    private mutating func scan(
        _ file: borrowing SystemFile, _ size: Int, _ header: [UInt8], _ checksum: LogChecksum
    ) throws(BrokerError) {
        var checksum = checksum
        let frameSize = Self.frameHeaderSize + Int(LogChecksum.number(header, 8))
        let salts = header[16..<24]
        var isRight = true
        var offset = Self.headerSize
        while offset + frameSize <= size {
            let frame = try file.read(upTo: frameSize, from: offset)
            guard frame.count == frameSize else { return }
            offset += frameSize
            let isOfThisLog = frame[8..<16] == salts
            let isEnd = LogChecksum.number(frame, 4) != 0
            isRight = isRight && isOfThisLog && checksum.takes(frame)
            if isEnd, isRight { transactions += 1 }
            if isEnd, isOfThisLog, !isRight { endsBehind += 1 }
        }
    }
}

/// The running checksum of a log's header and frames.
private struct LogChecksum {
    private var first: UInt32 = 0
    private var second: UInt32 = 0
    private let isBigEndian: Bool

    static func number(_ bytes: [UInt8], _ at: Int) -> UInt32 {
        UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8 | UInt32(bytes[at + 3])
    }

    /// Begins behind a header; nil if the header is not right.
    init?(header: [UInt8]) {
        guard header.count == 32 else { return nil }
        let magic = Self.number(header, 0)
        let page = Self.number(header, 8)
        guard magic & ~1 == 0x377f_0682, Self.number(header, 4) == 3_007_000 else { return nil }
        guard (512...65536).contains(page), page & (page - 1) == 0 else { return nil }
        isBigEndian = magic & 1 == 1
        add(header, 0..<24)
        guard first == Self.number(header, 24), second == Self.number(header, 28) else { return nil }
    }

    /// Goes on over a frame; whether the frame's own checksum agrees.
    mutating func takes(_ frame: [UInt8]) -> Bool {
        add(frame, 0..<8)
        add(frame, 24..<frame.count)
        return first == Self.number(frame, 16) && second == Self.number(frame, 20)
    }

    private mutating func add(_ bytes: [UInt8], _ range: Range<Int>) {
        for at in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
            first &+= word(bytes, at) &+ second
            second &+= word(bytes, at + 4) &+ first
        }
    }

    private func word(_ bytes: [UInt8], _ at: Int) -> UInt32 {
        let number = Self.number(bytes, at)
        return isBigEndian ? number : number.byteSwapped
    }
}
