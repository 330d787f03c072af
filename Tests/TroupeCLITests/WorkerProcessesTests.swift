import FoundationEssentials
import Testing

@testable import TroupeCLI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Real processes: a shell script stands where a user's worker would.
@Suite(.timeLimit(.minutes(1))) struct WorkerProcessesTests {
    /// What `up` says, as it comes.
    private struct Notes {
        let terminal: Terminal
        let stream: AsyncStream<String>

        init() {
            let (stream, notes) = AsyncStream.makeStream(of: String.self)
            self.stream = stream
            terminal = Terminal(isColoured: false) { _ in
            } note: {
                notes.yield($0)
            }
        }
    }

    /// A script in a directory of its own, which goes with the test.
    private static func withScript(
        _ text: String, _ body: (_ path: String, _ directory: String) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/troupe-cli-\(UInt64.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = directory + "/worker"
        try Data("#!/bin/sh\n\(text)\n".utf8).write(to: URL(filePath: path))
        #expect(chmod(path, 0o700) == 0)
        try await body(path, directory)
    }

    private static func processes(_ path: String, _ notes: Notes, count: Int = 1) -> WorkerProcesses {
        WorkerProcesses(
            executable: path, arguments: WorkerProcesses.arguments(pools: ["p"], extra: []),
            environment: ["TROUPE_EXCHANGE": "ipc:///a"], count: count, stopTimeout: .milliseconds(100),
            terminal: notes.terminal)
    }

    private static func pid(in note: String) -> pid_t? {
        note.contains("runs as process") ? note.split(separator: " ").last.flatMap { pid_t($0) } : nil
    }

    @Test func startsACrashedWorkerAgain() async throws {
        let script = #"""
            echo "$TROUPE_EXCHANGE $*" >> "$(dirname "$0")/log"
            [ -e "$0.ran" ] && exec sleep 1000
            touch "$0.ran"
            exit 3
            """#
        try await Self.withScript(script) { path, directory in
            let notes = Notes()
            let running = Task { try await Self.processes(path, notes).run() }
            var starts: [pid_t] = []
            var ends: [String] = []
            for await note in notes.stream {
                if let pid = Self.pid(in: note) { starts.append(pid) } else { ends.append(note) }
                if starts.count == 2 { break }
            }
            running.cancel()
            try await running.value
            #expect(ends.count == 1)
            #expect(ends[0].contains("3"))
            #expect(ends[0].hasSuffix("it is started again in 200 ms"))
            #expect(kill(starts[1], 0) == -1 && errno == ESRCH)
            let log = try String(contentsOf: URL(filePath: directory + "/log"), encoding: .utf8)
            #expect(log.hasPrefix("ipc:///a worker --pool p\n"))
        }
    }

    @Test func killsWorkersThatDoNotStop() async throws {
        try await Self.withScript("trap '' TERM\nexec sleep 1000") { path, _ in
            let notes = Notes()
            let running = Task { try await Self.processes(path, notes, count: 2).run() }
            var pids: [pid_t] = []
            for await note in notes.stream {
                pids += [Self.pid(in: note)].compactMap { $0 }
                if pids.count == 2 { break }
            }
            running.cancel()
            try await running.value
            for pid in pids { #expect(kill(pid, 0) == -1 && errno == ESRCH) }
        }
    }

    @Test func saysThatAWorkerCannotBeStarted() async throws {
        let failure = await #expect(throws: Failure.self) {
            try await Self.processes("/nonexistent/worker", Notes()).run()
        }
        #expect(failure?.kind == .usage)
        #expect(failure?.message.contains("'/nonexistent/worker' cannot be started") == true)
    }
}
