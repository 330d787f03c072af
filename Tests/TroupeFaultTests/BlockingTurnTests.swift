import Dispatch
import Foundation
import Synchronization
import Testing
import Troupe
import TroupeTesting

/// Turns that block their thread, as a computation does that takes long.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct BlockingTurnTests {
    @Test(arguments: Server.allCases) func aTurnThatBlocksHoldsUpNoOther(_ kind: Server) async throws {
        let server = try await kind.start()
        let troupe = try await Troupe.connect(to: server.url)
        let host = try await Troupe.connect(to: server.url)
        try await withWorker(host, [Blocker.self]) {
            let blocker = try await troupe.spawn(Blocker.self, named: "blocks")
            let free = try await troupe.spawn(Blocker.self, named: "free")
            _ = try await free.pass()
            for round in 0..<3 {
                let blocked = Task { try await blocker.block() }
                try await eventually("the turn blocks") { Blocker.isBlocked }
                // One after the other, each answered while the other one still blocks.
                for number in 1...20 { #expect(try await free.pass() == round * 20 + number + 1) }
                #expect(Blocker.isBlocked)
                Blocker.release()
                #expect(try await blocked.value == round + 1)
            }
        }
        await host.close()
        await troupe.close()
    }
}

/// Blocks its thread in a turn, until the test lets it go on.
distributed actor Blocker: StatefulActor {
    struct State: ActorState { var count = 0 }
    var state: State

    private static let mark = Atomic<Bool>(false)
    static var isBlocked: Bool { mark.load(ordering: .acquiring) }
    private static let gate = DispatchSemaphore(value: 0)
    static func release() { gate.signal() }

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func pass() -> Int {
        state.count += 1
        return state.count
    }

    distributed func block() -> Int {
        Self.mark.store(true, ordering: .releasing)
        Self.gate.wait()
        Self.mark.store(false, ordering: .releasing)
        state.count += 1
        return state.count
    }
}
