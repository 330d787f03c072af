import Foundation
import TroupeTesting

/// What a caller was told, in a file of its own that outlives it: a line when an operation begins, one when its outcome
/// was asked for by its id, and one when it ends. It is written with one `write` a line and not synced: processes are killed
/// here, and not the machine.
final class CallerLog {
    enum Outcome: String, Sendable {
        case committed
        /// Failed as it was meant to.
        case failed
        /// Failed, since data of its arguments lay at a site that was away for longer than they are waited for.
        case outOfReach
        /// Told, and acknowledged as stored.
        case stored
        /// Another result than the only right one.
        case wrong
    }

    struct Entry: Hashable, Sendable {
        var lane: String
        var index: Int
        var outcome: Outcome?
        /// Where its effect belongs in the history of the actor, as the reply said.
        var stamp: Stamp?
        var detail: String
        /// When it was begun, and when its caller knew the outcome: nanoseconds of the machine's monotonic clock.
        var called: Int64 = 0
        var returned: Int64?
        /// What the exchange said of its id when its caller had been started again.
        var asked: String?

        var answer: SharedAnswer? { try? JSONDecoder().decode(SharedAnswer.self, from: Data(detail.utf8)) }
    }

    private let file: FileHandle

    init(appendingTo path: String) throws {
        // Several lanes write to one file: each line goes behind what is there by then.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw ChildProcess.Failure(description: "the log \(path) cannot be written: error \(errno)")
        }
        file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    func begin(_ operation: Plan.Operation, lane: String) { write("B \(lane) \(operation.index) \(Self.now)") }

    func asked(_ operation: Plan.Operation, lane: String, _ status: String) {
        write("A \(lane) \(operation.index) \(status)")
    }

    func end(
        _ operation: Plan.Operation, lane: String, _ outcome: Outcome, _ stamp: Stamp? = nil, _ detail: String = ""
    ) {
        let place = stamp.map { "\($0.version)/\($0.epoch)" } ?? "-"
        write(
            "E \(lane) \(operation.index) \(outcome.rawValue) \(place) \(Self.now) \(detail.replacing("\n", with: " "))"
        )
    }

    /// How many calls of this process the workers have answered themselves, and how many of those that were to be had to go
    /// by the mailbox after all.
    func direct(answered: Int, fellBack: Int) { write("D \(getpid()) \(answered) \(fellBack)") }

    /// The same of all processes that wrote a log.
    static func direct(_ path: String) -> (answered: Int, fellBack: Int) {
        guard let data = FileManager.default.contents(atPath: path) else { return (0, 0) }
        var last: [Substring: (Int, Int)] = [:]
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where line.hasPrefix("D ") {
            let words = line.split(separator: " ")
            if words.count == 4, let answered = Int(words[2]), let fellBack = Int(words[3]) {
                last[words[1]] = (answered, fellBack)
            }
        }
        return last.values.reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
    }

    /// One clock for all processes of a machine.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// An answer as the detail of a line.
    static func detail(_ answer: SharedAnswer) throws -> String {
        String(decoding: try JSONEncoder().encode(answer), as: UTF8.self)
    }

    private func write(_ line: String) { try? file.write(contentsOf: Data((line + "\n").utf8)) }

    /// What a log says: by lane, each operation with its outcome, nil for one that was begun and has none.
    static func read(_ path: String) throws -> [String: [Int: Entry]] {
        var entries: [String: [Int: Entry]] = [:]
        guard let data = FileManager.default.contents(atPath: path) else { return [:] }
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 6).map(String.init)
            guard words.count >= 3, words[0] != "D", let index = Int(words[2]) else { continue }
            var entry =
                entries[words[1]]?[index] ?? Entry(lane: words[1], index: index, outcome: nil, stamp: nil, detail: "")
            if words[0] == "B", words.count > 3 { entry.called = Int64(words[3]) ?? 0 }
            if words[0] == "A", words.count > 3 { entry.asked = words[3] }
            if words[0] == "E", words.count > 5, let outcome = Outcome(rawValue: words[3]) {
                entry.outcome = outcome
                entry.stamp = stamp(words[4])
                entry.returned = Int64(words[5])
                entry.detail = words.count > 6 ? words[6] : ""
            }
            entries[words[1], default: [:]][index] = entry
        }
        return entries
    }

    private static func stamp(_ text: String) -> Stamp? {
        let parts = text.split(separator: "/")
        guard parts.count == 2, let version = Int(parts[0]), let epoch = UInt64(parts[1]) else { return nil }
        return Stamp(version: version, epoch: epoch)
    }
}

/// How many operations the logs of callers say have ended; each look reads only what is new.
struct LogMeter {
    private var offsets: [String: UInt64] = [:]
    private(set) var count = 0

    mutating func look(_ paths: [String]) {
        for path in paths {
            guard let file = FileHandle(forReadingAtPath: path) else { continue }
            defer { try? file.close() }
            guard (try? file.seek(toOffset: offsets[path] ?? 0)) != nil, let data = try? file.readToEnd(),
                let last = data.lastIndex(of: UInt8(ascii: "\n"))
            else { continue }
            let lines = data[data.startIndex...last]
            count += lines.split(separator: UInt8(ascii: "\n")).count { $0.first == UInt8(ascii: "E") }
            offsets[path, default: 0] += UInt64(lines.count)
        }
    }
}
