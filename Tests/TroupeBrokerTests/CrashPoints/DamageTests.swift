import Glibc
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// A journal whose bytes are not as they were written: what a broker finds is a moment of its history, or it refuses and
/// says which file is damaged and what to do; it takes nothing damaged for data.
@Suite(.serialized, .timeLimit(CrashSampling.timeLimit))
struct DamageTests {
    private let workload = CrashWorkload(rounds: 12, stateSizeBytes: 1500)

    /// A journal as a killed broker leaves it: much of it in the file, and some in the log.
    private func left(_ site: CrashSite) async throws -> [String: [UInt8]] {
        let broker = try site.broker()
        try #require(try site.start(broker))
        try #require(try await site.work(patience: .seconds(60)).isDone)
        broker.kill()
        var files: [String: [UInt8]] = [:]
        for name in ["journal.sqlite", "journal.sqlite-wal"] {
            files[name] = try FileSystem.read(site.directory + "/" + name, bytesMax: 64 << 20)
        }
        try #require(files["journal.sqlite-wal", default: []].count > 10_000)
        try #require(files["journal.sqlite", default: []].count > 30_000)
        return files
    }

    private enum Verdict {
        case refused(BrokerError)
        case moment(Int)
    }

    private func verdict(_ site: CrashSite, _ files: [String: [UInt8]], _ what: String) throws -> Verdict {
        let directory = try site.lay(files, in: "d")
        do {
            let findings = try site.findings(directory)
            #expect(findings.problems.isEmpty, "\(what): \(findings.problems)")
            return .moment(findings.count)
        } catch let error as BrokerError {
            #expect([.corrupt, .foreignFile, .newerVersion].contains(error.code), "\(what): \(error)")
            #expect(error.message.contains(directory + "/journal.sqlite"), "\(what): \(error)")
            let remedies = ["restore a copy", "another directory", "newer Troupe"]
            #expect(remedies.contains { error.message.contains($0) }, "\(error)")
            // Left as it is, for whoever can mend it. What only SQLite finds, or the checksum of a row, is found when SQLite has
            // the file open; its log is moved into it then as far as it is right.
            let isFoundLate = ["malformed", "in database main", "not as it was written"].contains {
                error.message.contains($0)
            }
            for (name, content) in files where !isFoundLate {
                let now = try? FileSystem.read(directory + "/" + name, bytesMax: 64 << 20)
                let isSame = now == content
                #expect(isSame, "\(what): \(name) was changed: \(error)")
            }
            return .refused(error)
        }
    }

    /// Bits of the main file are turned: each is found, or was of no consequence.
    @Test func aTurnedBitInTheFileIsFoundOrMeansNothing() async throws {
        let site = CrashSite(.durable, workload)
        let files = try await left(site)
        let all = try #require(files["journal.sqlite"])
        var random = SplitMix64(seed: 11)
        var refused = 0
        let flips = CrashSampling.isExhaustive ? 20_000 : 150
        for _ in 0..<flips {
            let at = Int.random(in: 0..<all.count, using: &random)
            var damaged = files
            damaged["journal.sqlite"]?[at] ^= 1 << UInt8(Int.random(in: 0..<8, using: &random))
            switch try verdict(site, damaged, "bit at \(at)") {
            case .refused: refused += 1
            case .moment(let count): #expect(count == workload.deeds.count, "bit at \(at) lost something")
            }
        }
        #expect(refused > flips / 50, "only \(refused) of \(flips) were found")
    }

    /// A whole page is gone, zeroed or another's.
    @Test func aDamagedPageIsFoundOrMeansNothing() async throws {
        let site = CrashSite(.durable, workload)
        var files = try await left(site)
        // All of it in the file, so that every page counts.
        let directory = try site.lay(files, in: "whole")
        _ = try site.findings(directory)
        files = ["journal.sqlite": try FileSystem.read(directory + "/journal.sqlite", bytesMax: 64 << 20)]
        let whole = try #require(files["journal.sqlite"])
        for page in 1..<whole.count / 4096 {
            let bytes = page * 4096..<(page + 1) * 4096
            for filling in [
                Array(repeating: UInt8(0), count: 4096), Array(whole[4096..<8192]), whole[bytes].map { $0 ^ 0xFF },
            ] {
                var damaged = files
                damaged["journal.sqlite"]?.replaceSubrange(bytes, with: filling)
                if case .moment(let count) = try verdict(site, damaged, "page \(page)") {
                    #expect(count == workload.deeds.count, "page \(page) lost something")
                }
            }
        }
    }

    /// Bits of the log are turned. In a durable one, what comes behind was acknowledged: nothing is dropped silently, but the
    /// last transaction, which a crash may have torn. In a journaled one it may be what a crash of the machine took.
    @Test(arguments: [DurabilityClass.journaled, .durable]) func aTurnedBitInTheLogIsFound(
        _ durability: DurabilityClass
    ) async throws {
        let site = CrashSite(durability, workload)
        let files = try await left(site)
        let log = try #require(files["journal.sqlite-wal"])
        var random = SplitMix64(seed: 12)
        var refused = 0
        for _ in 0..<(CrashSampling.isExhaustive ? 10_000 : 80) {
            let at = Int.random(in: 0..<log.count, using: &random)
            var damaged = files
            damaged["journal.sqlite-wal"]?[at] ^= 1 << UInt8(Int.random(in: 0..<8, using: &random))
            switch try verdict(site, damaged, "log's bit at \(at)") {
            case .refused: refused += 1
            case .moment(let count):
                guard durability == .durable else { continue }
                // A send, or a commit and what was registered then, share the last transaction at most.
                #expect(
                    count >= workload.deeds.count - 2,
                    "the log's bit at \(at) lost \(workload.deeds.count - count) deeds")
            }
        }
        if durability == .durable { #expect(refused > 0) }
    }

    // MARK: Places

    /// A file system that may not be written; root may write anywhere else.
    @Test(.enabled(if: MountSpace.obstacle == nil, "needs root and a mount namespace"))
    func aReadOnlyFileSystemIsNamed() async throws {
        let site = CrashSite(.durable, workload)
        let files = try await left(site)
        _ = try site.lay(files, in: "d")
        let script = """
            mount -t tmpfs -o size=4m,mode=700 none "$1" && mkdir "$1/j" && cp "$2"/journal.sqlite* "$1/j" && chmod 700 "$1/j" \
            && mount -o remount,ro "$1" && shift 2 && exec "$@"
            """
        let place = site.scratch.file("place")
        mkdir(place, 0o700)
        let report = site.scratch.file("report")
        let broker = ChildProcess(
            MountSpace.command(script) + [
                place, site.scratch.file("d"), try ChildProcess.product("troupe"), "broker",
                "--listen", site.url, "--json", "--journal", place + "/j",
            ], standardError: report)
        try broker.start()
        #expect(broker.wait() != .exited(0))
        let words = String(decoding: try FileSystem.read(report), as: UTF8.self)
        #expect(words.contains(place), "\(words)")
        #expect(words.contains("Read-only"), "\(words)")
    }
}
