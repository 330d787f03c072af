import Troupe

/// A durable counter that also echoes.
distributed actor Echo: StatefulActor {
    struct State: ActorState { var count = 0 }
    /// A mailbox that a million small messages do not fill.
    static var options: ActorOptions {
        var options = ActorOptions()
        options.mailboxCountMax = 2_000_000
        options.mailboxSizeBytesMax = 4 << 30
        return options
    }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func add(_ n: Int) -> Int {
        state.count += n
        return state.count
    }
    distributed func echo(_ numbers: [Double]) -> [Double] {
        state.count += 1
        return numbers
    }
    distributed func take(_ bytes: [UInt8]) { state.count += 1 }
    /// Work that needs no processor, so that many workers can have it at the same time on a small machine.
    distributed func rest(_ seconds: Double) async throws {
        try await Task.sleep(for: .seconds(seconds))
        state.count += 1
    }
}

/// A member of a chain along which a reference travels.
distributed actor Link: StatefulActor {
    struct State: ActorState { var count = 0 }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    /// Passes the numbers on to the first of the names; who has none left looks at a few of the numbers.
    distributed func pass(_ numbers: Proxy<[Double]>, _ names: [String]) async throws -> Double {
        state.count += 1
        guard let next = names.first else { return try await numbers[0..<100].reduce(0, +) }
        return try await actorSystem.handle(Link.self, named: next).pass(numbers, Array(names.dropFirst()))
    }
}

/// A state of any size, which each turn changes.
distributed actor Bulk: StatefulActor {
    struct State: ActorState {
        var count = 0
        var bytes: [UInt8] = []
    }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }
    distributed func touch() -> Int {
        state.bytes[state.count % state.bytes.count] &+= 1
        state.count += 1
        return state.count
    }
}

enum BenchTypes: ActorTypes { static let all: [any StatefulActor.Type] = [Echo.self, Link.self, Bulk.self] }
