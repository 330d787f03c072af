import Glibc
import TroupeTesting

@testable import TroupeBroker

/// What a process did to the files of a directory, as the shim (`Tests/CrashShim`) wrote it down, and from that what a disk
/// may hold after a crash at any moment.
struct DiskHistory {
    enum Kind: UInt32 {
        case create = 1, write, truncate, sync, synced, unlink, link, rename, open
    }

    struct Entry {
        var kind: Kind
        var isDirectory: Bool
        var step: Int
        var nanoseconds: UInt64
        var file: UInt64
        var offset: Int
        /// What follows the entry: bytes that are written, or names.
        var data: Range<Int>

        /// Where the entry ends in the log.
        var end: Int { data.upperBound }

        var isStep: Bool {
            switch kind {
            case .synced, .open: false
            case .create, .write, .truncate, .sync, .unlink, .link, .rename: true
            }
        }
    }

    /// What is gone of what was not synced.
    enum Loss: CustomStringConvertible {
        /// Nothing: the process died, and the system goes on.
        case nothing
        /// All of it.
        case everything
        /// Some writes and sectors of writes, and the last changes of names.
        case some(seed: UInt64)

        var description: String {
            switch self {
            case .nothing: "nothing lost"
            case .everything: "all that was not synced lost"
            case .some(let seed): "some lost by seed \(seed)"
            }
        }
    }

    let entries: [Entry]
    private let bytes: [UInt8]
    /// Files that were there at the start.
    private let initial: [String: [UInt8]]

    private static let headerSize = 48

    init(log: String, initial: [String: [UInt8]] = [:]) throws {
        let bytes = try FileSystem.read(log, bytesMax: 256 << 20)
        self.bytes = bytes
        self.initial = initial
        var entries: [Entry] = []
        var at = 0
        while at + Self.headerSize <= bytes.count {
            func word(_ offset: Int) -> UInt64 {
                bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at + offset, as: UInt64.self) }
            }
            guard let kind = Kind(rawValue: UInt32(truncatingIfNeeded: word(0))) else {
                throw ChildProcess.Failure(description: "the shim's log is damaged at \(at)")
            }
            let start = at + Self.headerSize
            let size = Int(word(40))
            guard start + size <= bytes.count else { break }
            let isDirectory: Bool = word(0) >> 32 != 0
            let offset = Int(Int64(bitPattern: word(32)))
            entries.append(
                Entry(
                    kind: kind, isDirectory: isDirectory, step: Int(word(8)), nanoseconds: word(16),
                    file: word(24), offset: offset, data: start..<(start + size)))
            at = start + size
        }
        self.entries = entries
    }

    /// How many entries were in the log when it had that size.
    func count(before size: Int) -> Int { entries.partitionPoint { $0.end > size } }

    func names(_ entry: Entry) -> [String] {
        bytes[entry.data].split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    // MARK: Crashes

    /// The files of the directory after a crash in front of the entry with that index.
    func disk(at count: Int, _ loss: Loss) -> [String: [UInt8]] {
        let keeps = kept(count, loss)
        var disk = Disk(initial: initial)
        for (index, entry) in entries.prefix(count).enumerated() {
            switch entry.kind {
            case .create: disk.create(names(entry)[0], entry.file, isNamed: keeps[index] != .none)
            case .open: disk.bind(names(entry)[0], entry.file)
            case .write: disk.write(bytes[entry.data], at: entry.offset, of: entry.file, keeps[index])
            case .truncate: if keeps[index] != .none { disk.truncate(entry.file, entry.offset) }
            case .unlink: if keeps[index] != .none { disk.names[names(entry)[0]] = nil }
            case .link, .rename:
                if keeps[index] != .none { disk.link(names(entry), moves: entry.kind == .rename) }
            case .sync, .synced: break
            }
        }
        return disk.files
    }

    enum Keeping: Equatable {
        case all
        case none
        /// Sectors by seed.
        case sectors(UInt64)
    }

    private func kept(_ count: Int, _ loss: Loss) -> [Keeping] {
        guard case .nothing = loss else { return keptByDisk(count, loss) }
        return Array(repeating: .all, count: count)
    }

    private func keptByDisk(_ count: Int, _ loss: Loss) -> [Keeping] {
        let synced = synced(count)
        var random = SplitMix64(seed: 0)
        var someMayStay = false
        if case .some(let seed) = loss {
            random = SplitMix64(seed: seed &* 0x9E37 &+ UInt64(count))
            someMayStay = true
        }
        var keeping: [Keeping] = Array(repeating: .all, count: count)
        // Names are kept in order, by a journal of the file system.
        var namesStay = someMayStay
        for index in 0..<count where !synced[index] {
            switch entries[index].kind {
            case .create, .unlink, .link, .rename:
                namesStay = namesStay && random.chance(70)
                keeping[index] = namesStay ? .all : .none
            case .write, .truncate:
                guard someMayStay, random.chance(50) else {
                    keeping[index] = .none
                    continue
                }
                if entries[index].kind == .write, random.chance(25) { keeping[index] = .sectors(random.next()) }
            case .sync, .synced, .open: break
            }
        }
        return keeping
    }

    /// Which entries a sync that was finished covers.
    private func synced(_ count: Int) -> [Bool] {
        var synced = Array(repeating: false, count: count)
        var open: [UInt64: [Int]] = [:]
        var openNames: [Int] = []
        for (index, entry) in entries.prefix(count).enumerated() {
            switch entry.kind {
            case .create, .unlink, .link, .rename: openNames.append(index)
            case .write, .truncate: open[entry.file, default: []].append(index)
            case .synced:
                if entry.isDirectory {
                    for done in openNames { synced[done] = true }
                    openNames = []
                } else {
                    for done in open.removeValue(forKey: entry.file) ?? [] { synced[done] = true }
                }
            case .sync, .open: break
            }
        }
        return synced
    }
}

extension DiskHistory {
    var stepCount: Int { entries.last?.step ?? 0 }

    /// The journal's write-ahead log.
    var logFile: UInt64 {
        let named = entries.first { entry in
            guard entry.kind == .create || entry.kind == .open else { return false }
            return names(entry).first == "journal.sqlite-wal"
        }
        return named?.file ?? 0
    }

    /// Where the last sync of the file began that was finished.
    func lastSync(of file: UInt64, before index: Int) -> Int? {
        guard let end = last(.synced, of: file, before: index) else { return nil }
        return last(.sync, of: file, before: end)
    }

    func last(_ kind: Kind, of file: UInt64, before index: Int? = nil) -> Int? {
        entries.prefix(index ?? entries.count).lastIndex { entry in entry.kind == kind && entry.file == file }
    }
}

/// Files and their names, as a replay makes them.
private struct Disk {
    private final class File {
        var content: [UInt8]
        init(_ content: [UInt8]) { self.content = content }
    }

    var names: [String: ObjectIdentifier] = [:]
    private var contents: [ObjectIdentifier: File] = [:]
    private var byInode: [UInt64: File] = [:]

    init(initial: [String: [UInt8]]) {
        for (name, content) in initial { add(name, File(content)) }
    }

    private mutating func add(_ name: String?, _ file: File) {
        contents[ObjectIdentifier(file)] = file
        if let name { names[name] = ObjectIdentifier(file) }
    }

    mutating func create(_ name: String, _ inode: UInt64, isNamed: Bool) {
        let file = File([])
        byInode[inode] = file
        add(isNamed ? name : nil, file)
    }

    mutating func bind(_ name: String, _ inode: UInt64) {
        if byInode[inode] == nil, let id = names[name] { byInode[inode] = contents[id] }
    }

    func write(_ data: ArraySlice<UInt8>, at offset: Int, of inode: UInt64, _ keeping: DiskHistory.Keeping) {
        guard let file = byInode[inode], keeping != .none else { return }
        let end = offset + data.count
        if file.content.count < end { file.content += [UInt8](repeating: 0, count: end - file.content.count) }
        guard case .sectors(let seed) = keeping else { return put(data, offset, file) }
        var random = SplitMix64(seed: seed)
        var at = offset
        while at < end {
            let next: Int = min(end, (at / 512 + 1) * 512)
            let first: Int = data.startIndex + at - offset
            let last: Int = first + next - at
            if random.chance(50) { put(data[first..<last], at, file) }
            at = next
        }
    }

    private func put(_ data: ArraySlice<UInt8>, _ offset: Int, _ file: File) {
        file.content.withUnsafeMutableBytes { target in
            data.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(rebasing: target[offset..<offset + $0.count]).copyMemory(from: $0)
            }
        }
    }

    func truncate(_ inode: UInt64, _ size: Int) {
        guard let file = byInode[inode] else { return }
        let missing = size - file.content.count
        if missing > 0 {
            file.content += [UInt8](repeating: 0, count: missing)
        } else {
            file.content.removeLast(-missing)
        }
    }

    /// A link that failed then, since the name was taken, fails now, too.
    mutating func link(_ pair: [String], moves: Bool) {
        guard let id = names[pair[0]], moves || names[pair[1]] == nil else { return }
        names[pair[1]] = id
        if moves { names[pair[0]] = nil }
    }

    var files: [String: [UInt8]] { names.compactMapValues { contents[$0]?.content } }
}

extension Array {
    /// The first index for which the sorted predicate holds; the count if it never does.
    func partitionPoint(where isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
