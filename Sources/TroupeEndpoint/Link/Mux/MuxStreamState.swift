import DequeModule
import NIOCore

/// One stream, as the machine knows it. It is an object so that its bytes are changed in place; only its machine has it.
final class MuxStreamState {
    enum Sending {
        case open
        /// All that is queued goes, and then the end.
        case finishing
        case finished
    }

    let urgency: StreamUrgency
    let isOpenedByPeer: Bool

    var sending = Sending.open
    var outbox = MuxOutbox()
    /// Whether writers wait until half of it has gone: to call them for each chunk would cost a thread's wake-up each time.
    var isOutboxFull = false
    /// How much the other side allows to be sent.
    var sendCredit: Int
    /// Whether it waits in the scheduler's line.
    var isInLine = false

    var isReceiveFinished = false
    var inbox = MuxInbox()
    /// How much the other side may still send.
    var receiveCredit: Int
    var window: Int
    /// Read since the last window update.
    var consumed = 0
    /// What the next window update says.
    var updateOwed = 0
    var windowEpoch: NIODeadline?

    /// Why neither side may go on with it.
    var failure: EndpointError?
    /// Whether somebody has it, or may get it from ``MuxMachine/accept()``.
    var isHeld = true

    init(_ urgency: StreamUrgency, isOpenedByPeer: Bool, sendCredit: Int, window: Int) {
        self.urgency = urgency
        self.isOpenedByPeer = isOpenedByPeer
        self.sendCredit = sendCredit
        self.window = window
        receiveCredit = window
    }

    /// Both directions have come to their end.
    var isComplete: Bool { sending == .finished && isReceiveFinished }

    var isOver: Bool { isComplete || failure != nil }

    /// Something may go now.
    var isSendable: Bool {
        guard failure == nil else { return false }
        switch sending {
        case .open: return !outbox.isEmpty && sendCredit > 0
        case .finishing: return outbox.isEmpty || sendCredit > 0
        case .finished: return false
        }
    }

    /// Counts bytes as read, and says whether the other side should be told: by half windows, so that updates are few.
    func consume(_ count: Int) -> Bool {
        consumed += count
        return !isReceiveFinished && failure == nil && consumed >= (window + 1) / 2
    }
}

/// What waits to be sent, as it was given: nothing is copied until it goes.
struct MuxOutbox {
    private var pieces = Deque<[UInt8]>()
    /// Of the first piece, how much has gone.
    private var gone = 0
    private(set) var bytes = 0

    var isEmpty: Bool { bytes == 0 }

    mutating func append(_ piece: [UInt8]) {
        guard !piece.isEmpty else { return }
        pieces.append(piece)
        bytes += piece.count
    }

    /// Moves so many bytes to a buffer.
    mutating func move(_ count: Int, to buffer: inout ByteBuffer) {
        precondition(count <= bytes, "no more than there is")
        var missing = count
        while missing > 0, let first = pieces.first {
            let part = min(missing, first.count - gone)
            buffer.writeBytes(first[gone..<gone + part])
            missing -= part
            gone += part
            if gone == first.count {
                pieces.removeFirst()
                gone = 0
            }
        }
        bytes -= count
    }

    mutating func clear() { self = MuxOutbox() }
}

/// What has come and waits to be read.
struct MuxInbox {
    private var storage: [UInt8] = []
    private var taken = 0

    var count: Int { storage.count - taken }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ bytes: ByteBuffer) {
        if taken == storage.count {
            storage = Array(bytes.readableBytesView)
            taken = 0
            return
        }
        // Each byte is moved once at most for each time that it is overtaken.
        if taken > storage.count / 2 {
            storage.removeFirst(taken)
            taken = 0
        }
        storage.append(contentsOf: bytes.readableBytesView)
    }

    /// At most so many bytes; without a copy if that is all there is.
    mutating func take(atMost countMax: Int) -> [UInt8] {
        if taken == 0, storage.count <= countMax {
            defer { storage = [] }
            return storage
        }
        let part = Array(storage[taken..<taken + min(countMax, count)])
        taken += part.count
        if taken == storage.count { clear() }
        return part
    }

    mutating func clear() { self = MuxInbox() }
}
