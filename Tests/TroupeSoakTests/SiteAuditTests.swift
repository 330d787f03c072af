import Synchronization
import Testing
import TroupeCore

@testable import TroupeSoak

/// The audit of what crosses sites, with ledgers that are made by hand.
@Suite struct SiteAuditTests {
    private static let cast = Cast(4, run: "r", acrossSites: true)
    private static let lane = "ac0.1"

    private func plan(_ lane: String) -> Plan { Plan(lane: lane, seed: 9, run: "r", actors: Self.cast.names) }

    /// What a caller at the first site was told of so many operations, all of which went well.
    private func log(_ count: Int = 100) -> [Int: CallerLog.Entry] {
        var plan = plan(Self.lane)
        var entries: [Int: CallerLog.Entry] = [:]
        for index in 1...count {
            var outcome = CallerLog.Outcome.committed
            switch plan.next().kind {
            case .fail: outcome = .failed
            case .tell: outcome = .stored
            default: break
            }
            entries[index] = CallerLog.Entry(
                lane: Self.lane, index: index, outcome: outcome, stamp: nil, detail: "", called: Int64(index * 10),
                returned: Int64(index * 10 + 5))
        }
        return entries
    }

    private func crossing(_ count: Int = 100) -> [Plan.Operation] {
        var plan = plan(Self.lane)
        return (0..<count).map { _ in plan.next() }.filter { Cast.isCrossing(Self.lane, $0.target) }
    }

    @Test func actorsAreAtBothSitesInTurns() {
        #expect(Self.cast.names == ["r-a0", "r-b1", "r-a2", "r-b3"])
        #expect(Self.cast.names(at: "soak-b") == ["r-b1", "r-b3"])
        #expect(Cast.site(ofActor: "r-a0") == "soak-a" && Cast.site(ofActor: "r-s0") == nil)
        #expect(Cast.caller(1, at: "soak-b") == "bc1" && Cast.caller(1, at: nil) == "c1")
        #expect(Cast.site(ofLane: "bc1.0") == "soak-b" && Cast.site(ofLane: "c1.0") == nil)
        #expect(Cast.isCrossing("ac0.0", "r-b1") && !Cast.isCrossing("ac0.0", "r-a0"))
        #expect(!Cast.isCrossing("c0.0", "r-s1"))
        #expect(Cast(3, run: "r", acrossSites: false).names == ["r-s0", "r-s1", "r-s2"])
        // Callers and chains cross in both directions, and often.
        var plan = plan(Self.lane)
        var hops = [0, 0]
        for _ in 0..<1000 {
            let operation = plan.next()
            guard case .chain(let rest) = operation.kind else { continue }
            for (one, next) in zip([operation.target] + rest, rest)
            where Cast.site(ofActor: one) != Cast.site(ofActor: next) {
                hops[Cast.site(ofActor: one) == "soak-a" ? 0 : 1] += 1
            }
        }
        #expect(hops.allSatisfy { $0 > 20 })
    }

    @Test func whatIsLostAcrossSitesIsToldWithTheFaultsThatItMet() throws {
        let lost = try #require(crossing().first)
        var harms = HarmLog()
        let called = Int64(lost.index * 10)
        harms.note(.cutLink, from: called - 3, to: called + 1)
        harms.note(.killEndpoint, from: called + 5, to: called + 5)
        harms.note(.stallLink, from: called + 6, to: called + 7)
        harms.note(.killRelay, from: called - 2, to: called - 1)
        let findings = Audit.findings(
            logs: [Self.lane: log()], plan: plan,
            states: Dictionary(uniqueKeysWithValues: Self.cast.names.map { ($0, SoakActor.State()) }), harms: harms)
        #expect(findings.crossing == crossing().count)
        let line = try #require(findings.lost.first { $0.hasPrefix("\(lost.step.stream) \(lost.step.number) ") })
        #expect(line.hasSuffix("(under way during cut-link, kill-endpoint)"))
        #expect(findings.met["cut-link"] == 1 && findings.met["kill-endpoint"] == 1)
    }

    @Test func anOperationWithoutOutcomeMeetsAllThatFollows() {
        var harms = HarmLog()
        harms.note(.killRelay, from: 50, to: 50)
        var entry = CallerLog.Entry(lane: "ac0.0", index: 1, outcome: nil, stamp: nil, detail: "", called: 10)
        #expect(harms.met(by: entry) == [.killRelay])
        entry.returned = 49
        #expect(harms.met(by: entry).isEmpty && harms.text(entry).isEmpty)
    }

    // MARK: Outcomes by id

    /// Answers what a faultless site would, but for one call.
    private func compare(
        _ log: [Int: CallerLog.Entry], but call: String? = nil, is status: Outcome.Status = .unknown, now: Int64 = 2000
    ) async -> (count: Int, complaints: [String]) {
        var right: [String: Outcome.Status] = [:]
        for operation in crossing() {
            if case .fail = operation.kind {
                right[operation.callID] = .failed
            } else {
                right[operation.callID] = .committed
            }
        }
        if let call { right[call] = status }
        let answers = right
        let asked = Mutex(Set<String>())
        let outcomes = OutcomesByID(logs: [Self.lane: log], plan: plan, limit: .zero) { question in
            // Each is asked for again when there was no answer.
            guard asked.withLock({ $0.insert(question.call).inserted }) else { throw CancellationError() }
            guard let answer = answers[question.call] else { throw CancellationError() }
            return answer
        }
        return await outcomes.compare(now: now)
    }

    @Test func outcomesOfAllCallsAcrossSitesAreComparedByID() async throws {
        let all = await compare(log())
        #expect(all.count == crossing().count && all.count > 20 && all.complaints.isEmpty)
        let call = try #require(crossing().first).callID
        for status in Outcome.Status.allCases where status != .committed && status != .failed {
            let wrong = await compare(log(), but: call, is: status)
            #expect(wrong.complaints.count == 1 && wrong.complaints[0].contains(status.rawValue))
        }
        let undecided = try #require(crossing().first).index
        var open = log()
        open[undecided]?.outcome = nil
        #expect(await compare(open).count == crossing().count - 1)
    }

    @Test func outcomesThatCannotBeAskedForAreComplaintsAndOldOnesAreLeftOut() async {
        let outcomes = OutcomesByID(logs: [Self.lane: log()], plan: plan, limit: .zero) { _ in throw CancellationError()
        }
        #expect(await outcomes.compare(now: 2000).complaints.count == crossing().count)
        #expect(await compare(log(), now: 51 * 60 * 1_000_000_000).count == 0)
    }
}
