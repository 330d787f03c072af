import CBOR
import Foundation
import Testing

/// Compares with `cbor2` from PyPI, an independent implementation. `TROUPE_PYTHON` names a Python that has it.
@Suite(.enabled(if: Peer.python != nil, "TROUPE_PYTHON is unset; scripts/test sets it to a Python with cbor2"))
struct DifferentialTests {
    @Test(arguments: [1, 2, 3] as [UInt64]) func ourEncodingsAreTheirCanonicalOnes(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let ours = try (0..<300).map { _ in try RandomValue.make(&random, depth: 5).encoded() }
        let theirs = try Peer.run(["recode"], input: ours.map(hex))
        #expect(theirs.count == ours.count)
        for (index, encoded) in ours.enumerated() where hex(encoded) != theirs[index] {
            Issue.record("seed \(seed), value \(index): \(CBORValue.diagnostic(of: encoded, limitBytes: 500))")
        }
    }

    @Test(arguments: [1, 2, 3]) func theirEncodingsDecodeAndRecode(_ seed: Int) throws {
        let lines = try Peer.run(["generate", "\(seed)", "300"], input: [])
        #expect(lines.count == 300)
        for (index, line) in lines.enumerated() {
            let forms = line.split(separator: " ").map { bytes(String($0)) }
            let value = try CBORDecoder().decode(CBORValue.self, from: forms[0])
            let encoded = try CBOREncoder().encode(value)
            if encoded != forms[1] {
                Issue.record("seed \(seed), value \(index): \(CBORValue.diagnostic(of: forms[1], limitBytes: 500))")
            }
            #expect(try CBORDecoder().decode(CBORValue.self, from: forms[1]).encoded() == encoded)
        }
    }

    @Test func codableValuesAreTheirCanonicalOnes() throws {
        var random = SeededGenerator(seed: 11)
        var ours: [[UInt8]] = []
        for index in 0..<200 {
            let plain = Plain(
                id: Int(truncatingIfNeeded: random.next()) >> 20, name: RandomValue.text(&random, 30),
                score: RandomValue.float(&random), isActive: random.below(2) == 0,
                note: random.below(2) == 0 ? nil : RandomValue.text(&random, 5))
            ours.append(try CBOREncoder().encode(plain))
            ours.append(try CBOREncoder().encode(["k\(index)": Event.carried(plain, weights: nil), "z": .started]))
            ours.append(try CBOREncoder().encode([index: [plain], index + 1000: []]))
        }
        #expect(try Peer.run(["recode"], input: ours.map(hex)) == ours.map(hex))
    }

    @Test func typedArraysHoldTheSameNumbers() throws {
        var random = SeededGenerator(seed: 12)
        let doubles = (0..<50).map { _ in RandomValue.float(&random) }.filter(\.isFinite)
        let longs = (0..<50).map { _ in Int64(truncatingIfNeeded: random.next()) }
        let encoder = CBOREncoder()
        let ours = [
            try encoder.encode(doubles), try encoder.encode(longs),
            try encoder.encode(longs.map(UInt64.init(bitPattern:))),
            try encoder.encode(longs.map(Int8.init(truncatingIfNeeded:))),
            try encoder.encode(longs.map(UInt16.init(truncatingIfNeeded:))), try encoder.encode([UInt8](0...255)),
            try encoder.encode(longs.map { Float($0) / 3 }),
        ]
        let theirs = try Peer.run(["numbers"], input: ours.map(hex)).map { $0.split(separator: " ").map(String.init) }
        #expect(theirs[0].compactMap { Double($0) } == doubles)
        #expect(theirs[1] == longs.map { "\($0)" })
        #expect(theirs[2] == longs.map { "\(UInt64(bitPattern: $0))" })
        #expect(theirs[3] == longs.map { "\(Int8(truncatingIfNeeded: $0))" })
        #expect(theirs[4] == longs.map { "\(UInt16(truncatingIfNeeded: $0))" })
        #expect(theirs[5] == (0...255).map { "\($0)" })
        #expect(theirs[6].compactMap { Double($0) } == longs.map { Double(Float($0) / 3) })
    }
}

/// The Python program at the other side.
enum Peer {
    static let python = ProcessInfo.processInfo.environment["TROUPE_PYTHON"]

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Runs the program on lines and gives the lines that it wrote. Files on both sides, so that no pipe can fill up.
    static func run(_ arguments: [String], input: [String]) throws -> [String] {
        let directory = FileManager.default.temporaryDirectory.appending(path: "cbor-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let files = ["in", "out", "err"].map { directory.appending(path: $0) }
        try Data(input.map { $0 + "\n" }.joined().utf8).write(to: files[0])
        for file in files[1...] { try Data().write(to: file) }
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Resources/cbor2_peer.py")
        let process = Process()
        process.executableURL = URL(filePath: python ?? "")
        process.arguments = [script.path()] + arguments
        process.standardInput = try FileHandle(forReadingFrom: files[0])
        process.standardOutput = try FileHandle(forWritingTo: files[1])
        process.standardError = try FileHandle(forWritingTo: files[2])
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let complaint = String(decoding: try Data(contentsOf: files[2]), as: UTF8.self)
            throw Failure(description: "the Python with cbor2 exited with \(process.terminationStatus): \(complaint)")
        }
        return String(decoding: try Data(contentsOf: files[1]), as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
