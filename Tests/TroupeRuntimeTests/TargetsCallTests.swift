import Distributed
import Testing

@testable import TroupeRuntime

/// Calls that travel by wire name and are executed by the target found in the table. Release builds are where executing
/// the target a call left with goes wrong, so these count in both kinds of build.
@Suite struct TargetsCallTests {
    let system = Loopback()

    private func handle() throws -> Tally {
        try Tally.resolve(id: Tally(actorSystem: system).id, using: system)
    }

    @Test func plainMethods() async throws {
        let tally = try handle()
        #expect(try await tally.add(2) == 2)
        #expect(try await tally.add(3) == 5)
        #expect(try await tally.total == 5)
        #expect(try await tally.scale(by: 3) == 15)
        try await tally.reset()
        #expect(try await tally.total == 0)
        #expect(try await tally.repeat(in: "x") == ["x", "x"])
        #expect(try await tally.`odd (name)`(`a label`: 4) == 4)
        #expect(try await tally.größe(maß: 1.5) == 1.5)
        #expect(
            system.sent.map(\.call.method) == [
                "add(_:)", "add(_:)", "total()", "scale(by:)", "reset()", "total()", "repeat(in:with:)",
                "`odd (name)`(`a label`:)", "größe(maß:)",
            ])
    }

    @Test func genericMethods() async throws {
        let tally = try handle()
        #expect(try await tally.echo("text") == "text")
        #expect(try await tally.echo([1.5]) == [1.5])
        #expect(try await tally.zip(keys: ["a", "b"], [1, 2]) == ["a": 1, "b": 2])
        #expect(system.sent.map(\.genericArguments) == [1, 1, 2])
    }

    @Test func stubOfAProtocol() async throws {
        let tally = Tally(actorSystem: system)
        let stub: any Tallying = try $Tallying.resolve(id: tally.id, using: system)
        #expect(try await stub.add(4) == 4)
        #expect(try await stub.echo("text") == "text")
        #expect(system.sent.map(\.call.method) == ["add(_:)", "echo(_:)"])
        #expect(system.sent.allSatisfy { $0.target.contains("$Tallying") })
        #expect(system.sent.map(\.genericArguments) == [0, 1])
    }

    @Test func stubOfAMethodThatAnExtensionImplements() async throws {
        let tally = Tally(actorSystem: system)
        let stub = try $Tallying.resolve(id: tally.id, using: system)
        #expect(try await stub.greeting(for: "you") == "Hello, you")
    }

    @Test func methodsOfProtocolExtensions() async throws {
        let tally = try handle()
        #expect(try await tally.greeting(for: "you") == "Hello, you")
        #expect(try await tally.pair(7) == [7, 7])
        #expect(system.sent.map(\.genericArguments) == [0, 1])
    }

    @Test func errorsOfMethodsPass() async throws {
        let tally = try handle()
        await #expect(throws: Refusal(reason: "negative")) { try await tally.add(-1) }
    }

    @Test func nestedPrivateAndLocalTypes() async throws {
        let inner = try Outer.Inner.resolve(id: Outer.Inner(actorSystem: system).id, using: system)
        #expect(try await inner.depth(of: Outer.Options()) == 3)
        #expect(try await inner.depth(of: nil) == 0)
        let innermost = Outer.Inner.Innermost(actorSystem: system)
        #expect(try await Outer.Inner.Innermost.resolve(id: innermost.id, using: system).name() == "innermost")
        #expect(try await whisperToSecret("ABC", in: system) == "abc")
        #expect(try await askLocal(in: system) == 42)
        let caller = Tally(actorSystem: system)
        let hidden = try handle()
        #expect(try await caller.whenLocal { try await $0.callHidden(hidden, 9) } == 9)
    }

    @Test func genericActors() async throws {
        let ints = try Box<Int>.resolve(id: Box<Int>(actorSystem: system).id, using: system)
        #expect(try await ints.keep(3) == 3)
        #expect(try await ints.double(3) == 6)
        let texts = try Box<String>.resolve(id: Box<String>(actorSystem: system).id, using: system)
        #expect(try await texts.keep("three") == "three")
        let error = await #expect(throws: TargetError.self) { try await texts.convert("three", to: 3) }
        #expect(error?.code == .genericArguments)
    }

    @Test func overloadsFailByNameAndTheOthersRun() async throws {
        let overloaded = try Overloaded.resolve(id: Overloaded(actorSystem: system).id, using: system)
        #expect(try await overloaded.fine())
        let error = await #expect(throws: TargetError.self) { try await overloaded.put(1) }
        #expect(error?.code == .ambiguousMethod)
        #expect(error?.message.contains("put(_: Swift.Int) -> Swift.String") == true)
        #expect(error?.message.contains("put(_: Swift.String) -> Swift.String") == true)
    }
}
