import Foundation
import TroupeCore
import TroupeRuntime
import TroupeStore

/// What an optimized build could break without any test of a debug build seeing it: calls that are found by name, through
/// the stubs of protocols, with generic arguments. Prints what holds, and exits with 1 if something does not.
@main struct ReleaseCheck {
    static func main() async throws {
        let troupe = try await Troupe.joining(
            Exchange(shards: [MemoryShard()], address: "memory:"), configuration: .init())
        let worker = try Worker(troupe, WorkerConfiguration(types: [Tally.self, Twins.self]))
        let hosting = Task { try await worker.run() }
        var check = Checks()
        do {
            try await typed(troupe, &check)
            try await throughProtocol(troupe, &check)
            try await failures(troupe, &check)
        } catch {
            check.that("no other error: \(error)", false)
        }
        hosting.cancel()
        try await hosting.value
        await troupe.close()
        print("release: \(check.passed) hold, \(check.failed) do not")
        if check.failed > 0 { exit(1) }
    }

    private static func typed(_ troupe: Troupe, _ check: inout Checks) async throws {
        let tally = try await troupe.spawn(Tally.self, named: "one")
        check.that("a call", try await tally.add(2, times: 3) == 6)
        check.that("a default argument", try await tally.add(1) == 7)
        check.that("a computed property", try await tally.sum == 7)
        check.that("a generic value", try await tally.echo(Point(x: 1, y: -2)) == Point(x: 1, y: -2))
        check.that("a generic collection", try await tally.echo(["a": [1, 2], "b": []]) == ["a": [1, 2], "b": []])
        check.that("a generic key", try await tally.count(["a", "b", "a"]) == ["a": 2, "b": 1])
        _ = try await troupe.spawn(Tally.self, named: "two")
        check.that("a method that only the wire calls", try await tally.relay(to: "two") == "found")
        try await troupe.tell(tally) { try await $0.add(3) }
        check.that("a message", try await tally.sum == 10)
        let later = try await troupe.future(tally) { try await $0.add(10) }
        check.that("a future", try await later.resolve() == 20)
    }

    private static func throughProtocol(_ troupe: Troupe, _ check: inout Checks) async throws {
        let id = try await troupe.spawn(Tally.self, named: "three").id
        let tally = try $Tallying.resolve(id: id, using: troupe)
        check.that("a call through a protocol", try await tally.add(4, times: 2) == 8)
        check.that("a generic value through a protocol", try await tally.echo(Optional(2.5)) == 2.5)
        check.that("a generic key through a protocol", try await tally.count([Point(x: 0, y: 0)]).count == 1)
        do {
            _ = try await tally.add(-1, times: 1)
            check.that("an error through a protocol", false)
        } catch {
            check.that("an error through a protocol", error as? Negative == Negative(value: -1))
        }
        check.that("a state that was rolled back", try await tally.add(0, times: 1) == 8)
    }

    private static func failures(_ troupe: Troupe, _ check: inout Checks) async throws {
        let twins = try await troupe.spawn(Twins.self, named: "twins")
        do {
            _ = try await twins.put(1)
            check.that("two methods of one name are refused", false)
        } catch {
            check.that("two methods of one name are refused", "\(error)".contains("put"))
        }
    }
}

/// Counts what holds.
struct Checks {
    private(set) var passed = 0
    private(set) var failed = 0

    mutating func that(_ what: String, _ holds: Bool) {
        if holds { passed += 1 } else { failed += 1 }
        print("\(holds ? "holds" : "does NOT hold"): \(what)")
    }
}
