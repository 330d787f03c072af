import Foundation
import Troupe
import TroupeCore

/// Asks, at the end, each caller's own site by the id of every call across sites what became of it: it must be what the caller
/// was told.
struct OutcomesByID {
    struct Question: Sendable {
        let call: String
        let lane: String
        let index: Int
        let target: String
        fileprivate let expected: Outcome.Status
    }

    let logs: [String: [Int: CallerLog.Entry]]
    let plan: (String) -> Plan
    /// How long all of it may take.
    let limit: Duration
    /// Asks the site of the question's lane.
    let ask: @Sendable (Question) async throws -> Outcome.Status

    /// Outcomes are kept for an hour; older ones are not asked for.
    private static let ageMax = Duration.seconds(50 * 60)
    private static let atOnce = 32

    /// - Parameter now: by the clock of the logs.
    /// - Returns: how many outcomes were asked for, and a sentence for each that was another.
    func compare(now: Int64 = CallerLog.now) async -> (count: Int, complaints: [String]) {
        let deadline = ContinuousClock.now + limit
        let questions = questions(since: now - Int64(Self.ageMax / .nanoseconds(1)))
        let ask = ask
        return await withTaskGroup(of: String?.self) { group in
            var complaints: [String] = []
            for (index, question) in questions.enumerated() {
                if index >= Self.atOnce, let answer = await group.next() { complaints += answer.map { [$0] } ?? [] }
                group.addTask { await Self.complaint(question, until: deadline, ask) }
            }
            for await answer in group { complaints += answer.map { [$0] } ?? [] }
            return (questions.count, complaints)
        }
    }

    private func questions(since oldest: Int64) -> [Question] {
        var questions: [Question] = []
        for (lane, entries) in logs {
            var plan = plan(lane)
            for index in 1..<(1 + (entries.keys.max() ?? 0)) {
                let operation = plan.next()
                guard Cast.isCrossing(lane, operation.target), let entry = entries[index], entry.called > oldest,
                    let expected = entry.outcome?.status
                else { continue }
                questions.append(
                    Question(
                        call: operation.callID, lane: lane, index: index, target: operation.target,
                        expected: expected))
            }
        }
        return questions
    }

    private static func complaint(
        _ question: Question, until deadline: ContinuousClock.Instant,
        _ ask: @Sendable (Question) async throws -> Outcome.Status
    ) async -> String? {
        let name = "\(question.lane) \(question.index)"
        var reason = "no answer"
        repeat {
            do {
                let status = try await ask(question)
                guard status != question.expected else { return nil }
                return
                    "\(name): \(status.rawValue) by its id at the end, and \(question.expected.rawValue) by the call"
            } catch {
                reason = "\(error)"
                try? await Task.sleep(for: .milliseconds(100))
            }
        } while ContinuousClock.now < deadline
        return "\(name): its outcome could not be asked for at the end: \(reason)"
    }
}

extension CallerLog.Outcome {
    /// What the exchange says of the call then; nil if there is no one right answer.
    fileprivate var status: Outcome.Status? {
        switch self {
        case .committed, .stored: .committed
        case .failed, .outOfReach: .failed
        case .wrong: nil
        }
    }
}
