import Foundation
import TroupeTesting

/// What processes say of the memory that they have.
enum Memory {
    /// Memory that is the process's own and in use, in KiB.
    static func residentKiB(of process: ChildProcess) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.pid ?? 0)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        guard let number = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw Trouble("a process's memory cannot be read; has it ended?")
        }
        return number
    }

    /// What a Redis uses by its own account, in bytes.
    static func used(by redis: RedisServer) throws -> Int {
        let process = ChildProcess(["redis-cli", "-s", redis.socketPath, "INFO", "memory"])
        try process.start()
        defer { process.wait() }
        while let line = process.line() {
            let parts = line.split(whereSeparator: { $0 == ":" || $0.isWhitespace })
            if parts.first == "used_memory", let number = parts.dropFirst().first.flatMap({ Int($0) }) {
                // Who ends while it still has something to say would not be waited for.
                while process.line() != nil {}
                return number
            }
        }
        throw Trouble("redis-cli does not tell the used memory of the server")
    }
}
