import CBOR
import TroupeCore

/// What two endpoints tell each other on a mail stream: whoever opened it sends parcels, the other side answers.
///
/// Everything may be said again after a broken link; nothing that is said twice happens twice.
enum MailFrame: Hashable, Sendable, Codable {
    /// Messages for actors of the other side, in the order of their numbers. The source names the numbering.
    case deliver(source: String, [Parcel])
    /// Calls whose callers wait no more.
    case recall([SentCall])
    /// Calls whose outcomes have come and are stored: they need not be kept for this any longer. The same is true of all that
    /// came from the source with a number below.
    case ended([SentCall], source: String, below: UInt64)
    /// What became of parcels.
    case settled([Settlement])
    /// What became of calls whose parcels were taken.
    case outcomes([ParcelOutcome])

    static let countMax = 200
    static let sizeBytesMax = 1 << 20
}

/// A message on its way to another site.
struct Parcel: Hashable, Sendable, Codable {
    /// Its place in the mailbox of the sending site; grows.
    var number: UInt64
    var envelope: Envelope
    /// Whether it may have been sent before: its outcome may be there already.
    var isRepeat: Bool
    /// Milliseconds since it was sent, and until its deadline: the two sites' clocks are not compared.
    var age: Int64
    var remaining: Int64?
    /// Whether the sender keeps it until its outcome is known.
    var wantsOutcome: Bool
}

/// A call that went out in a parcel, as its own site names it.
struct SentCall: Hashable, Sendable, Codable {
    var id: CallID
    var target: ActorID
}

struct Settlement: Hashable, Sendable, Codable {
    enum Result: Hashable, Sendable, Codable {
        /// It is in the target's mailbox, or was before.
        case taken
        /// The mailbox has no room, or its actor is on the way back; nor was what follows to the same actor taken.
        case full
        /// It will never be taken.
        case refused(String)
    }
    var number: UInt64
    var result: Result
}

struct ParcelOutcome: Hashable, Sendable, Codable {
    var number: UInt64
    var outcome: Outcome
    /// Of the objects that the parcel's envelope refers to, those that the other side goes on referring to; nil is none.
    var uses: [String]?
}
