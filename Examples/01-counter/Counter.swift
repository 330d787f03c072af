import ArgumentParser
import Troupe

/// A counter whose count outlives every process that touches it.
distributed actor Counter: StatefulActor {
    struct State: ActorState { var count = 0 }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func add(_ n: Int) throws -> Int {
        guard n >= 0 else { throw OnlyUp(by: n) }
        state.count += n
        return state.count
    }
}

/// A thrown error that is Codable arrives at the caller as it was thrown.
struct OnlyUp: Error, Codable {
    var by: Int
}

enum CounterTypes: ActorTypes {
    static let all: [any StatefulActor.Type] = [Counter.self]
}

@main
struct CounterApp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "counter", abstract: "A durable counter.",
        subcommands: [WorkerCommand<CounterTypes>.self, Add.self])
}

/// `counter add hits 5`: makes the counter if there is none, and adds to it.
struct Add: AsyncParsableCommand {
    @OptionGroup var exchange: ExchangeOptions
    @Argument(help: "The counter's name.") var name: String
    @Argument(help: "How much to add.") var n: Int

    func run() async throws {
        let troupe = try await Troupe.connect(to: exchange.url)
        let counter = try await troupe.spawn(Counter.self, named: name, ifExists: .keep)
        do {
            print(try await counter.add(n))
        } catch let error as OnlyUp {
            print("the counter refused \(error.by): it only goes up")
            throw ExitCode.failure
        }
        await troupe.close()
    }
}
