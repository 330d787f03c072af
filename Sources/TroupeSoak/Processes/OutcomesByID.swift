import Foundation
import Troupe
import TroupeCore

/// Asks, at the end, each caller's own site by the id of every call across sites what became of it: it must be what the caller
/// was told.
struct OutcomesByID {
    private struct Question: Sendable {
        let call: String
        let name: String
        let target: String
        let site: SoakSite
        let expected: Outcome.Status
    }

    let sites: [SoakSite]
    let logs: [String: [Int: CallerLog.Entry]]
    let plan: (String) -> Plan
    /// How long all of it may take.
    let limit: Duration

    /// Outcomes are kept for an hour; older ones are not asked for.
    private static let ageMax = Duration.seconds(50 * 60)
    private static let atOnce = 32

    func compare(_ report: inout SoakReport) async {
        let deadline = ContinuousClock.now + limit
        await withTaskGroup(of: String?.self) { group in
            var complaints: [String] = []
            for (index, question) in questions.enumerated() {
                if index >= Self.atOnce, let answer = await group.next() { complaints += answer.map { [$0] } ?? [] }
                group.addTask { await Self.ask(question, until: deadline) }
                report.outcomesCompared += 1
            }
            for await answer in group { complaints += answer.map { [$0] } ?? [] }
            report.findings.wrongOutcomes += complaints
        }
    }

    private var questions: [Question] {
        var questions: [Question] = []
        let oldest = CallerLog.now - Int64(Self.ageMax / .nanoseconds(1))
        for (lane, entries) in logs {
            guard let site = sites.first(where: { $0.name == Cast.site(ofLane: lane) }) else { continue }
            var plan = plan(lane)
            for index in 1..<(1 + (entries.keys.max() ?? 0)) {
                let operation = plan.next()
                guard Cast.isCrossing(lane, operation.target), let entry = entries[index], entry.called > oldest,
                    let expected = entry.outcome?.status
                else { continue }
                questions.append(
                    Question(
                        call: operation.callID, name: "\(lane) \(index)", target: operation.target, site: site,
                        expected: expected))
            }
        }
        return questions
    }

    private static func ask(_ question: Question, until deadline: ContinuousClock.Instant) async -> String? {
        var reason = "no answer"
        repeat {
            do {
                let troupe = question.site.troupe
                let target = try troupe.soakActor(question.target, from: question.site.name).id
                let outcome = try await within(.seconds(30), "the question") {
                    try await troupe.outcome(of: CallID(unchecked: question.call), on: target)
                }
                guard outcome.status != question.expected else { return nil }
                return "\(question.name): \(outcome.status.rawValue) by its id at the end, and "
                    + "\(question.expected.rawValue) by the call"
            } catch {
                reason = "\(error)"
                try? await Task.sleep(for: .milliseconds(100))
            }
        } while ContinuousClock.now < deadline
        return "\(question.name): its outcome could not be asked for at the end: \(reason)"
    }
}

extension CallerLog.Outcome {
    /// What the exchange says of the call then; nil if there is no one right answer.
    fileprivate var status: Outcome.Status? {
        switch self {
        case .committed, .stored: .committed
        case .failed: .failed
        case .wrong: nil
        }
    }
}
