import Foundation
import TroupeTesting

/// What a caller was told, in a file of its own that outlives it: a line when an operation begins and one when it ends. It
/// is written with one `write` a line and not synced: processes are killed here, and not the machine.
final class CallerLog {
    enum Outcome: String, Sendable {
        case committed
        /// Failed as it was meant to.
        case failed
        /// Told, and acknowledged as stored.
        case stored
        /// Another result than the only right one.
        case wrong
    }

    struct Entry: Hashable, Sendable {
        var lane: String
        var index: Int
        var outcome: Outcome?
        var detail: String
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

    func begin(_ operation: Plan.Operation, lane: String) { write("B \(lane) \(operation.index)") }

    func end(_ operation: Plan.Operation, lane: String, _ outcome: Outcome, _ detail: String = "") {
        write("E \(lane) \(operation.index) \(outcome.rawValue) \(detail.replacing("\n", with: " "))")
    }

    private func write(_ line: String) { try? file.write(contentsOf: Data((line + "\n").utf8)) }

    /// What a log says: by lane, each operation with its outcome, nil for one that was begun and has none.
    static func read(_ path: String) throws -> [String: [Int: Entry]] {
        var entries: [String: [Int: Entry]] = [:]
        guard let data = FileManager.default.contents(atPath: path) else { return [:] }
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 4).map(String.init)
            guard words.count >= 3, let index = Int(words[2]) else { continue }
            if words[0] == "B" {
                if entries[words[1]]?[index] == nil {
                    entries[words[1], default: [:]][index] = Entry(lane: words[1], index: index, detail: "")
                }
            } else if words.count >= 4, let outcome = Outcome(rawValue: words[3]) {
                entries[words[1], default: [:]][index] = Entry(
                    lane: words[1], index: index, outcome: outcome, detail: words.count > 4 ? words[4] : "")
            }
        }
        return entries
    }
}
