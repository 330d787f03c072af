import Foundation
import TroupeTesting

/// A worker process for the actors of one pool.
struct FurtherWorker: Sendable {
    private let process: ChildProcess

    init(pool: String, url: String) throws {
        process = ChildProcess([
            try ChildProcess.product("bench"), "worker", "--exchange", url, "--pool", pool, "--passivate-after", "600s",
        ])
        try process.start()
    }

    /// Memory that is its own and in use, in KiB.
    func residentKiB() throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.pid ?? 0)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        guard let number = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw Trouble("the worker's memory cannot be read; has it ended?")
        }
        return number
    }

    func end() { process.terminate() }
}
