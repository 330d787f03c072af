import Foundation
import Glibc
import Synchronization
import Testing
import TroupeTesting

@testable import TroupeSoak

/// The parts of the soak that decide what it does and what it says.
@Suite struct PartsTests {
    @Test func theLinkIsHarmedForAMinuteAtTheMost() {
        let outages = (0..<(1 << 8)).map(Fault.outage)
        #expect(outages.max() == .seconds(60) && outages.min() == .seconds(1))
        // Which site is harmed does not decide for how long.
        #expect(Fault.outage(16) == Fault.outage(17))
    }

    private func directory() throws -> String {
        var template = Array("/tmp/troupe-parts-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test func killsComeAsOftenAsAsked() {
        for faults in [Fault.allCases, [.killWorker], [.killWorker, .cut, .pauseWorker]] {
            var schedule = Fault.Schedule(seed: 3, faults: faults, killsPerHour: 300)
            var (time, kills) = (0.0, 0)
            while time < 36_000 {
                let next = schedule.next()
                time += next.wait
                if next.fault.isKill { kills += 1 }
            }
            #expect((2900...3100).contains(kills))
        }
        // Without kills, the others come at their rate, and not without a pause between them.
        #expect(Fault.Schedule(seed: 1, faults: [.cut], killsPerHour: 360).mean == 10)
        #expect(Fault.named("kill").filter { !$0.needsSites } == [.killWorker, .killCaller, .killExchange])
        #expect(Set(Fault.named("link")) == Set(Fault.allCases.filter(\.isOfPath)))
        #expect(Set(Fault.named("kill")) == Set(Fault.allCases.filter(\.isKill)))
        #expect(Fault.named("nonsense").isEmpty)
    }

    @Test func percentilesAreSamples() {
        #expect(SoakReport.percentile(50, []) == nil)
        #expect(SoakReport.percentile(99, [7]) == 7)
        let samples = (1...200).map(Double.init).shuffled()
        #expect(SoakReport.percentile(50, samples) == 100)
        #expect(SoakReport.percentile(99, samples) == 198)
    }

    @Test func eachComplaintMakesAReportUnclean() {
        #expect(SoakReport(seed: 1).isClean)
        for path in [
            \SoakReport.undrained, \.dead, \.idleTimers, \.dangling, \.leftBehind, \.crashed, \.unrecovered, \.failures,
            \.findings.stale, \.findings.lost, \.findings.dangling,
            \.findings.nonlinear,
        ] {
            var report = SoakReport(seed: 1)
            report[keyPath: path] = ["something"]
            #expect(!report.isClean)
        }
    }

    @Test func waitsEndAlsoForWhatDoesNotHeedThem() async throws {
        #expect(try await within(.seconds(60), "a sum") { 1 + 1 } == 2)
        let gate = Mutex<CheckedContinuation<Void, Never>?>(nil)
        await #expect(throws: NotInTime.self) {
            try await within(.milliseconds(50), "a wait for nothing") {
                await withCheckedContinuation { continuation in gate.withLock { $0 = continuation } }
            }
        }
        gate.withLock { $0 }?.resume()
    }

    @Test func logsAreReadAndMeteredAsTheyGrow() throws {
        let directory = try directory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let path = "\(directory)/log"
        let log = try CallerLog(appendingTo: path)
        var plan = Plan(lane: "c0.0", seed: 1, run: "r", actors: ["s0", "s1"])
        let (one, two, three) = (plan.next(), plan.next(), plan.next())
        var meter = LogMeter()
        for operation in [one, two, three] { log.begin(operation, lane: "c0.0") }
        log.end(one, lane: "c0.0", .committed, Stamp(version: 3, epoch: 9))
        meter.look([path])
        #expect(meter.count == 1)
        log.asked(two, lane: "c0.0", "unknown")
        log.end(two, lane: "c0.0", .wrong, nil, "some words\nand more")
        meter.look([path, "\(directory)/none"])
        meter.look([path])
        #expect(meter.count == 2)
        let entries = try CallerLog.read(path)["c0.0"]
        #expect(entries?[1]?.stamp == Stamp(version: 3, epoch: 9))
        #expect(entries?[2]?.asked == "unknown" && entries?[2]?.detail == "some words and more")
        #expect(entries?[3] != nil && entries?[3]?.outcome == nil)
    }
}
