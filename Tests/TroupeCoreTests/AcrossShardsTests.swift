import Testing
import TroupeTesting

@testable import TroupeCore

/// What holds between several shards, whoever carries and collects and however late.
@Suite(.serialized) struct AcrossShardsTests {
    @Test func `messages arrive once and in order, and objects live as long as they are referred to`() async throws {
        try await Seeds.run(60) { try Self.check(seed: $0) }
    }

    private static func check(seed: UInt64) throws {
        var world = try ShardWorld(seed: seed)
        for _ in 0..<600 where world.faults.isEmpty {
            switch world.random.number(0...99) {
            case ..<10: world.send()
            case ..<22: world.receive(world.random.number(0...2))
            case ..<42: world.turn(world.random.number(0...2), isSending: true)
            case ..<65: world.bear(world.random.number(0...3))
            case ..<70: world.repeatOldStep()
            case ..<95: world.collect(world.random.number(0...1))
            case ..<99: world.pass(.milliseconds(world.random.number(1...100)))
            // Beyond the retention of outcomes: from here on only the mailboxes know what has come.
            default: world.pass(.seconds(3))
            }
        }
        let isSettled = Self.settle(&world)
        #expect(world.faults == [], "seed \(seed)")
        #expect(isSettled, "seed \(seed): something still waits")
        for (lane, count) in world.sent {
            #expect(world.handled[lane] ?? [] == Array(1...count), "seed \(seed): \(lane)")
        }
        #expect(world.handled.count > 5, "seed \(seed): hardly anything was sent")
        #expect(Self.left(&world) == [], "seed \(seed): objects that nothing refers to were not deleted")
        #expect(world.deleted.count > 5, "seed \(seed): hardly anything was deleted")
    }

    /// The object moves, behind a collector's back, from a shard that it has not asked yet to one that it has.
    @Test func `a mark does not stand where an object has come by since`() throws {
        var world = try ShardWorld(seed: 1)
        let near = try #require(world.actors.first { world.home($0) == 1 })
        let far = try #require(world.actors.first { world.home($0) == 0 })
        let ids = ["mem:x"]
        world.perform(2, .hold(ids, for: .milliseconds(1)))
        let letter = Envelope(
            id: CallID(unchecked: "c-1"), kind: .tell, target: near, sender: "c", method: "m()", arguments: [],
            sentAt: world.now, references: ids)
        world.perform(1, .send([letter], from: world.client, resuming: false))
        world.receive(1)
        world.pass(.milliseconds(5))
        #expect(world.perform(2, .condemn(ids, mark: 7)) == .objects([]))
        #expect(world.perform(0, .condemn(ids, mark: 7)) == .objects([]))
        let held = try #require(world.boxes[1].held[near])
        var onward = letter
        (onward.id, onward.target, onward.sender) = (CallID(unchecked: "t-1"), far, near.key)
        let turn = TurnCommit(
            actor: near, epoch: held.epoch, number: 1,
            acknowledgements: [.init(sequence: 1, id: letter.id, disposition: .completed([], references: []))],
            outgoing: [onward])
        #expect(world.perform(1, .commit(world.worker, [turn])) == .committed([.committed]))
        #expect(world.perform(1, .condemn(ids, mark: 7)) == .objects(ids), "the outbox keeps its objects")
        guard case .outbox(let page) = world.perform(1, .outbox(to: 0, after: nil, only: nil, limit: 9)) else { return }
        #expect(world.perform(0, .forward(page.entries, from: 1)) == .forwarded([.delivered]))
        let settlement = OutboxSettlement(target: far, number: page.entries[0].number)
        #expect(world.perform(1, .settleOutbox([settlement])) == .done)
        #expect(world.perform(1, .condemn(ids, mark: 7)) == .objects([]))
        #expect(world.perform(2, .condemned(ids, mark: 7)) == .objects(ids))
        #expect(world.perform(1, .condemned(ids, mark: 7)) == .objects(ids))
        #expect(world.perform(0, .condemned(ids, mark: 7)) == .objects([]))
        #expect(world.faults == [])
    }

    /// Handles all that was sent.
    private static func settle(_ world: inout ShardWorld) -> Bool {
        for _ in 0..<400 {
            for bearer in 0..<4 { for _ in 0..<3 { world.bear(bearer) } }
            for shard in 0..<3 {
                world.receive(shard)
                for _ in 0..<8 { world.turn(shard, isSending: false) }
            }
            world.pass(.milliseconds(10))
            let isEmpty = world.boxes.allSatisfy { $0.machine.outbox.count == 0 && $0.machine.queuedTotal == 0 }
            if isEmpty { return true }
        }
        return false
    }

    /// Ends all states, and collects until nothing changes.
    private static func left(_ world: inout ShardWorld) -> [String] {
        for actor in world.actors { world.perform(world.home(actor), .terminate(actor)) }
        for _ in 0..<1200 {
            for collector in 0..<2 { world.collect(collector) }
            world.pass(.milliseconds(20))
        }
        return world.boxes.flatMap { box in
            box.machine.objects.keys.sorted() + box.machine.garbagePage(limit: .max)
        }.filter { !world.deleted.contains($0) }
    }
}
