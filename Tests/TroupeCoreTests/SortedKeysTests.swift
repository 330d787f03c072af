import Testing
import TroupeTesting

@testable import TroupeCore

@Suite struct SortedKeysTests {
    /// Against a plain set, over enough keys that chunks split and vanish.
    @Test(arguments: [UInt64(1), 2, 3])
    func `it behaves as a sorted set`(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var keys = SortedKeys()
        var model: Set<String> = []
        for step in 0..<6000 {
            let key = Self.key(&random)
            if random.chance(step < 3500 ? 75 : 25) {
                keys.insert(key)
                model.insert(key)
            } else {
                let wasThere = keys.remove(key)
                #expect(wasThere == (model.remove(key) != nil))
            }
            #expect(keys.count == model.count)
            guard step % 400 == 399 else { continue }
            let sorted = model.sorted { $0.precedesInBytes($1) }
            #expect(keys.page(after: nil, limit: .max) == sorted)
            let after = Self.key(&random)
            #expect(keys.contains(after) == model.contains(after))
            #expect(
                keys.page(after: after, limit: 700) == Array(sorted.filter { after.precedesInBytes($0) }.prefix(700)))
        }
    }

    private static func key(_ random: inout SplitMix64) -> String {
        random.pick(["a/", "b/", "é/", "日/"]) + String(random.number(0...900), radix: 36)
    }

    @Test func `an empty one has nothing`() {
        var keys = SortedKeys()
        #expect(keys.page(after: nil, limit: 10) == [])
        #expect(keys.page(after: "a", limit: 10) == [])
        let wasThere = keys.remove("a")
        #expect(!wasThere)
        keys.insert("a")
        #expect(keys.page(after: "a", limit: 10) == [])
        #expect(keys.page(after: nil, limit: 0) == [])
    }
}

@Suite struct AgendaTests {
    private func time(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func `what is due comes by time, then by key`() {
        var agenda = Agenda()
        for (key, at) in [("c", 2), ("b", 1), ("a", 2), ("d", 3)] as [(String, Int64)] {
            agenda.insert(key, at: time(at))
        }
        let due = agenda.take(due: time(2), budget: 10) { _ in true }
        #expect(due.map(\.key) == ["b", "a", "c"])
        let next = agenda.next { _ in true }
        #expect(next == time(3))
    }

    @Test func `what is no longer true is passed over and costs no budget`() {
        var agenda = Agenda()
        for (key, at) in [("old", 1), ("a", 2), ("a", 2), ("b", 2)] as [(String, Int64)] {
            agenda.insert(key, at: time(at))
        }
        let first = agenda.take(due: time(5), budget: 1) { $0.key != "old" }
        #expect(first.map(\.key) == ["a"])
        let second = agenda.take(due: time(5), budget: 9) { $0.key != "a" }
        #expect(second.map(\.key) == ["b"])
        let next = agenda.next { _ in true }
        #expect(next == nil)
    }
}
