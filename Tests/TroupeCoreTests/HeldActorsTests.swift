import Testing
import TroupeCore

@Suite struct HeldActorsTests {
    private final class Held: HeldActor {
        let actor: ActorID
        let epoch: Epoch

        init(_ actor: ActorID, _ epoch: Epoch) {
            self.actor = actor
            self.epoch = epoch
        }
    }

    private let actor: ActorID
    private var held = HeldActors<Held>(earlyMax: 3)

    init() throws { actor = try ActorID(type: "Counter", name: "a") }

    private func queued(_ sequence: SequenceNumber) -> QueuedEnvelope {
        QueuedEnvelope(
            sequence: sequence, attempts: 0,
            envelope: Envelope(
                id: CallID(unchecked: "c-\(sequence)"), kind: .tell, target: actor, sender: "c", replyTo: nil,
                method: "add(_:)", arguments: [], sentAt: Timestamp(milliseconds: 1)))
    }

    private mutating func add(_ epoch: Epoch) -> (new: Held, old: Held?, early: [SequenceNumber]) {
        var early: [SequenceNumber] = []
        let new = Held(actor, epoch)
        let old = held.add(new) { early = $0.map(\.sequence) }
        return (new, old, early)
    }

    @Test mutating func `what comes before its activation goes to it, and to no other`() {
        #expect(held.receiver(of: queued(1), for: actor, 7) == nil)
        #expect(held.receiver(of: queued(2), for: actor, 8) == nil)
        #expect(held.receiver(of: queued(3), for: actor, 8) == nil)
        let (seventh, _, first) = add(7)
        #expect(first == [1])
        #expect(held.receiver(of: queued(4), for: actor, 7) === seventh)
        let (eighth, old, second) = add(8)
        #expect(old === seventh && second == [2, 3])
        #expect(held.receiver(of: queued(5), for: actor, 7) == nil)
        #expect(held.receiver(of: queued(6), for: actor, 8) === eighth)
        #expect(add(9).early == [])
    }

    @Test mutating func `so many wait for an activation and no more`() {
        for sequence in SequenceNumber(1)...5 { #expect(held.receiver(of: queued(sequence), for: actor, 1) == nil) }
        #expect(add(1).early == [1, 2, 3])
    }

    @Test mutating func `one that is over takes no other with it`() {
        let old = add(1).new
        let new = add(2).new
        held.remove(old)
        #expect(held[actor] === new && held[actor, 2] === new && held[actor, 1] == nil)
        held.remove(new)
        #expect(held.count == 0)
    }

    @Test mutating func `all go, with what waits`() throws {
        let names = ["c", "a", "b"]
        for name in names { _ = held.add(Held(try ActorID(type: "Counter", name: name), 1)) { _ in } }
        #expect(held.receiver(of: queued(1), for: actor, 2) == nil)
        #expect(held.removeAll().map(\.actor.name) == names.sorted())
        #expect(held.count == 0 && add(2).early == [])
    }

    @Test func `pauses double up to their bound`() {
        let backOff = BackOff(first: .milliseconds(20), longest: .seconds(1))
        #expect(
            (0...7).map { backOff.pause(after: $0) } == [0, 20, 40, 80, 160, 320, 640, 1000].map { .milliseconds($0) })
        #expect(backOff.pause(after: .max) == .seconds(1))
        for failures in 1...8 {
            let (full, random) = (backOff.pause(after: failures), backOff.randomPause(after: failures))
            #expect(random >= full / 2 && random <= full)
        }
    }
}
