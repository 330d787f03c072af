/// When which fault was on, by the clock of the callers' logs.
struct HarmLog: Sendable {
    private struct Span: Sendable {
        let fault: Fault
        let from: Int64
        let to: Int64
    }

    private var spans: [Span] = []

    /// - Parameters:
    ///   - from: nanoseconds of the machine's monotonic clock.
    ///   - to: the same number for what was over at once.
    mutating func note(_ fault: Fault, from: Int64, to: Int64) {
        spans.append(Span(fault: fault, from: from, to: max(from, to)))
    }

    /// The faults that an operation met while it was under way.
    func met(by entry: CallerLog.Entry) -> Set<Fault> {
        let end = entry.returned ?? .max
        return Set(spans.lazy.filter { $0.from <= end && $0.to >= entry.called }.map(\.fault))
    }

    /// The same in words, for complaints; empty if it met none.
    func text(_ entry: CallerLog.Entry) -> String {
        let names = met(by: entry).map(\.rawValue).sorted()
        return names.isEmpty ? "" : " (under way during \(names.joined(separator: ", ")))"
    }
}
