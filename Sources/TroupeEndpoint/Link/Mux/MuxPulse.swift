import NIOCore

/// Whether the other side is there, how far away it is, and when the connection was used.
struct MuxPulse {
    var lastHeardAt = NIODeadline.uptimeNanoseconds(0)
    /// When anything but questions and answers went or came.
    var lastUsedAt = NIODeadline.uptimeNanoseconds(0)
    /// Of late; nil before the first answer.
    private(set) var roundTrip: TimeAmount?
    /// The shortest ever, that is, without waiting in queues.
    private(set) var roundTripMin: TimeAmount?

    private var isUsed = false
    private var lastNonce: UInt64 = 0
    private var asked: (nonce: UInt64, at: NIODeadline)?
    /// A question that has to go out.
    var ping: UInt64?

    mutating func use(_ now: NIODeadline) {
        isUsed = true
        lastUsedAt = now
    }

    mutating func question(_ now: NIODeadline) {
        guard asked == nil else { return }
        lastNonce += 1
        ping = lastNonce
        asked = (lastNonce, now)
        isUsed = false
    }

    /// A connection that nobody uses costs nothing, and whether its peer is there matters to nobody.
    mutating func questionIfUsed(_ now: NIODeadline) {
        if isUsed { question(now) }
    }

    /// Counts the time of the question's way from when it goes rather than from when it was wanted.
    mutating func takePing(_ now: NIODeadline) -> UInt64? {
        guard let nonce = ping else { return nil }
        ping = nil
        asked = (nonce, now)
        return nonce
    }

    mutating func answer(_ nonce: UInt64, _ now: NIODeadline) throws(EndpointError) {
        guard let asked, asked.nonce == nonce, ping == nil else {
            throw EndpointError(.protocolViolation, "an answer to a question that was not asked")
        }
        self.asked = nil
        let time = now - asked.at
        roundTrip = roundTrip.map { .nanoseconds(($0.nanoseconds * 7 + time.nanoseconds) / 8) } ?? time
        roundTripMin = min(roundTripMin ?? time, time)
    }

    func isSilent(for time: TimeAmount, _ now: NIODeadline) -> Bool {
        guard let asked else { return false }
        return now - max(asked.at, lastHeardAt) >= time
    }
}
