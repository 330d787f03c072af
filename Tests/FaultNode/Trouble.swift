import Foundation
import Troupe

/// Does what a user's code should not.
distributed actor Trouble: StatefulActor {
    struct State: ActorState { var good = 0 }
    var state: State
    static var options: ActorOptions {
        var options = ActorOptions()
        options.attemptsMax = 2
        options.backoffBase = .milliseconds(10)
        return options
    }

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func work() -> Int {
        state.good += 1
        return state.good
    }

    distributed func trap() { preconditionFailure("this turn traps") }

    /// Notes at another actor that it has begun, and then never returns, and does not listen to its cancellation.
    distributed func hang(noting ledger: String) async throws {
        _ = try await actorSystem.handle(Ledger.self, named: ledger).add(1)
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
    }

    /// Blocks the thread that it runs on.
    distributed func block(seconds: Int) -> Int {
        sleep(UInt32(seconds))
        return seconds
    }

    /// Asks for memory until there is none.
    distributed func devour() -> Int {
        var hoard: [[UInt8]] = []
        while true { hoard.append([UInt8](repeating: UInt8(truncatingIfNeeded: hoard.count), count: 16 << 20)) }
    }

    /// Opens files until there are no descriptors left, and tells another actor before it closes them.
    distributed func hoardFiles(then ledger: String) async throws -> Int {
        var hoard: [Int32] = []
        defer { for file in hoard { close(file) } }
        while case let file = open("/dev/null", O_RDONLY), file >= 0 { hoard.append(file) }
        let count = hoard.count
        try await actorSystem.tell(actorSystem.handle(Ledger.self, named: ledger)) { try await $0.add(count) }
        return count
    }
}
