import Synchronization

/// The right to answer one request. May be kept and used later from any thread; when it is let go without an answer the
/// client is told so.
package final class ReplyToken: Sendable {
    private let core: ReplierCore
    private let wire: any FrameWire
    private let number: UInt32
    private let used = Atomic(false)

    init(_ core: ReplierCore, _ wire: any FrameWire, _ number: UInt32) {
        self.core = core
        self.wire = wire
        self.number = number
    }

    /// Answers. The first answer counts; later ones do nothing. A client that has gone away is no error.
    package func reply(_ frame: Frame) {
        guard !used.exchange(true, ordering: .acquiringAndReleasing) else { return }
        finish(frame)
    }

    /// Ends the request without an answer.
    package func discard() {
        guard !used.exchange(true, ordering: .acquiringAndReleasing) else { return }
        core.released()
    }

    deinit {
        guard !used.load(ordering: .acquiring) else { return }
        finish(.refusal(.unavailable, "The broker let the request go without an answer; ask again."))
    }

    private func finish(_ frame: Frame) {
        wire.send(frame, number: number)
        core.released()
    }
}
