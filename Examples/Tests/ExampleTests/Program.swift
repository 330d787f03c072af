import Foundation

/// One of the example programs as a real process; it is killed when it is let go.
final class Program {
    private let process = Process()
    private let output = Pipe()
    private var unread = Data()
    private(set) var lines: [String] = []

    /// Starts a program that stands beside the test bundle, or a command from the path.
    init(_ name: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        let beside = Bundle.main.executableURL?.deletingLastPathComponent().appendingPathComponent(name)
        let built = Self.buildDirectory.appendingPathComponent(name)
        if FileManager.default.isExecutableFile(atPath: built.path) {
            process.executableURL = built
            process.arguments = arguments
        } else if let beside, FileManager.default.isExecutableFile(atPath: beside.path) {
            process.executableURL = beside
            process.arguments = arguments
        } else {
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [name] + arguments
        }
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    /// Where this package's products are: the directory of the test bundle.
    private static var buildDirectory: URL {
        let arguments = CommandLine.arguments
        let bundle = arguments.first { $0.hasSuffix(".xctest") } ?? arguments[0]
        return URL(fileURLWithPath: bundle).deletingLastPathComponent()
    }

    var pid: Int32 { process.processIdentifier }

    /// Reads on until a line holds the text.
    ///
    /// - Returns: the line, or nil if the output ended before.
    func line(containing text: String) -> String? {
        while true {
            if let line = nextLine() {
                lines.append(line)
                if line.contains(text) { return line }
                continue
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            unread.append(more)
        }
    }

    private func nextLine() -> String? {
        guard let end = unread.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { unread.removeSubrange(...end) }
        return String(decoding: unread[..<end], as: UTF8.self)
    }

    /// Reads the rest of the output and waits for the end.
    func wait() -> Int32 {
        _ = line(containing: "\u{0}")
        process.waitUntilExit()
        return process.terminationStatus
    }

    func kill() {
        guard process.isRunning else { return }
        Foundation.kill(pid, SIGKILL)
        process.waitUntilExit()
    }

    deinit { kill() }
}

/// A directory that goes away with its test.
final class Scratch {
    let path: String

    init() throws {
        var template = Array("/tmp/troupe-example-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
