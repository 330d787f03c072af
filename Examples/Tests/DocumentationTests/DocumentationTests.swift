import Foundation
import Testing
import Troupe

@Suite(.timeLimit(.minutes(1))) struct DocumentationTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static let pages = [
        "README.md", "docs/get-started.md", "docs/concepts.md", "docs/guides/command-line.md", "docs/guides/errors.md",
        "docs/guides/exchanges.md", "docs/guides/proxies.md", "docs/guides/sites.md", "docs/guides/workers.md",
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

    /// Each symbol that a module's landing page lists is public there.
    @Test(arguments: [
        "CBOR", "TroupeCore", "TroupeStore", "TroupeRuntime", "TroupeRedis", "TroupeBroker", "Troupe", "TroupeTesting",
    ])
    func landingPagesListWhatIsPublic(_ module: String) throws {
        let listed = try Self.lines(of: "Sources/\(module)/Documentation.docc/\(module).md").filter {
            $0.hasPrefix("- ``")
        }
        #expect(!listed.isEmpty)
        let sources = try Self.sources(of: module)
        for line in listed {
            let symbol = line.dropFirst(4).prefix { $0 != "`" }
            #expect(sources.contains { $0.hasSuffix(" \(symbol)") }, "\(module) has no public \(symbol)")
        }
    }

    @Test func aSiteWithoutAnEndpointHasNoOtherSites() async throws {
        let troupe = try await Troupe.connect(to: "memory:")
        let samples = try await troupe.proxy([1.0, 2.0])
        await #expect(throws: TroupeError.self) { try await objectsOfOtherSites(troupe, samples) }
        await troupe.close()
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

    /// The lines of a module that declare something public.
    private static func sources(of module: String) throws -> [String] {
        let directory = root.appendingPathComponent("Sources/\(module)").path
        let files = try FileManager.default.subpathsOfDirectory(atPath: directory).filter { $0.hasSuffix(".swift") }
        return try files.flatMap { try lines(of: "Sources/\(module)/\($0)") }.filter { $0.hasPrefix("public ") }
            .map { line in line.prefix { !":<{(".contains($0) }.trimmingCharacters(in: .whitespaces) }
    }

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
