/// How calls of a process went that went directly.
package struct DirectCounts: Hashable, Sendable {
    /// Answered by the worker itself.
    package var answered = 0
    /// Begun directly, and sent by way of the mailbox after all.
    package var fellBack = 0
    package init() {}
}

extension Troupe {
    /// How calls of this process went that went directly.
    package var directCounts: DirectCounts { courier.direct?.counts ?? DirectCounts() }
}
