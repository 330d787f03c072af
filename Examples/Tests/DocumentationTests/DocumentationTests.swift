import Foundation
import Testing
import Troupe

@Suite(.timeLimit(.minutes(1))) struct DocumentationTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let pages = [
        "README.md", "docs/get-started.md", "docs/concepts.md", "docs/guides/command-line.md", "docs/guides/errors.md",
        "docs/guides/exchanges.md", "docs/guides/proxies.md", "docs/guides/workers.md",
    ]

    /// A line that the documentation shows must stand in the compiled snippets.
    @Test(arguments: pages) func whatIsShownIsCompiled(_ page: String) throws {
        let compiled = Set(try Self.lines(of: "Examples/Tests/DocumentationTests/Snippets.swift").map(Self.bare))
        for line in try Self.code(in: page) { #expect(compiled.contains(Self.bare(line)), "\(page): \(line)") }
    }

    @Test func theREADMEHasCode() throws {
        #expect(try Self.code(in: "README.md").count > 10)
        #expect(try Self.code(in: "docs/get-started.md").count > 10)
    }

    /// Each page that a page refers to is there.
    @Test(arguments: pages) func linksLeadSomewhere(_ page: String) throws {
        let directory = Self.root.appendingPathComponent(page).deletingLastPathComponent()
        for part in try Self.lines(of: page).joined(separator: "\n").components(separatedBy: "](").dropFirst() {
            let target = part.prefix { $0 != ")" && $0 != "#" }
            guard !target.isEmpty, !target.contains("://") else { continue }
            let path = directory.appendingPathComponent(String(target)).path
            #expect(FileManager.default.fileExists(atPath: path), "\(page): \(target)")
        }
    }

    @Test func theREADMEsCallsDoWhatItSays() async throws {
        try await readme { troupe, hits, n, later in
            #expect(n == 1)
            #expect(try await later.resolve() == 3)
            let samples = try await troupe.proxy((0..<1000).map(Double.init))
            #expect(try await hits.absorb(samples) == 4950)
        }
    }

    @Test func theGuidesDoWhatTheySay() async throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("troupe-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        #expect(try await proxies(in: directory.path, (0..<100).map(Double.init)) == (10..<20).map(Double.init))
        await #expect(throws: TroupeError.self) { try await insisting() }
    }

    // MARK: Reading

    private static func lines(of path: String) throws -> [String] {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8).components(separatedBy: "\n")
    }

    /// The lines of a page's Swift blocks; a package manifest is no part of a program.
    private static func code(in page: String) throws -> [String] {
        var found: [String] = []
        var isInside = false
        var isManifest = false
        for line in try lines(of: page) {
            if line.hasPrefix("```") {
                isInside = line == "```swift"
                isManifest = false
            } else if isInside {
                if line.hasPrefix("// swift-tools-version") { isManifest = true }
                if !isManifest, !bare(line).isEmpty { found.append(line) }
            }
        }
        return found
    }

    /// A line without its indentation, its comment, and what differs between a program and a test: the mark of the entry
    /// point, the exchange, and a path.
    private static func bare(_ line: String) -> String {
        var text = line
        if text.hasPrefix("//") { return "" }
        if let comment = text.range(of: " // ") { text = String(text[..<comment.lowerBound]) }
        for (shown, compiled) in [
            ("@main ", ""), ("\"embedded:\"", "\"memory:\""), ("\"/data/images\"", "directory"),
        ] { text = text.replacingOccurrences(of: shown, with: compiled) }
        return text.trimmingCharacters(in: .whitespaces)
    }
}
