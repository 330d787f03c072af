import Synchronization

/// Learns which objects a value mentions while the value is encoded, so that they can be pinned for as long as the
/// encoded form lives.
///
/// Proxies report to the collector of their encoder (`userInfo[.referenceCollector]`), else to the task's ``current``
/// one.
public final class ReferenceCollector: Sendable {
    @TaskLocal public static var current: ReferenceCollector?

    private struct State {
        var seen: Set<String> = []
        var references: [ObjectReference] = []
        var outcomes: Set<OutcomeReference> = []
    }

    private let state = Mutex(State())

    public init() {}

    /// Each object once, in the order of first mention.
    public var references: [ObjectReference] { state.withLock { $0.references } }
    /// Those whose references the exchange counts.
    public var managed: [ObjectReference] { references.filter(\.isManaged) }
    /// The calls whose outcomes were mentioned.
    public var outcomes: Set<OutcomeReference> { state.withLock { $0.outcomes } }

    public func add(_ reference: ObjectReference) {
        state.withLock { state in
            if state.seen.insert(reference.id).inserted { state.references.append(reference) }
        }
    }

    public func add(_ outcome: OutcomeReference) {
        state.withLock { _ = $0.outcomes.insert(outcome) }
    }

    static func of(_ encoder: any Encoder) -> ReferenceCollector? {
        encoder.userInfo[.referenceCollector] as? ReferenceCollector ?? current
    }
}
