import ArgumentParser
import Troupe

/// Collects measurements, whenever a worker happens to run.
distributed actor Logbook: StatefulActor {
    struct State: ActorState { var lines: [String] = [] }
    var state: State

    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func write(_ line: String) -> Int {
        state.lines.append(line)
        return state.lines.count
    }
}

enum LogbookTypes: ActorTypes {
    static let all: [any StatefulActor.Type] = [Logbook.self]
}

@main
struct DecouplingApp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logbook",
        abstract: "Messages sent while nobody runs; workers come later; another process collects the outcome.",
        subcommands: [WorkerCommand<LogbookTypes>.self, Send.self, Collect.self])
}

/// Stores messages and a request, prints the request's id, and is gone.
struct Send: AsyncParsableCommand {
    @OptionGroup var exchange: ExchangeOptions
    @Argument(help: "Lines to write.") var lines: [String]

    func run() async throws {
        let troupe = try await Troupe.connect(to: exchange.url)
        let book = try await troupe.spawn(Logbook.self, named: "station", ifExists: .keep)
        for line in lines { try await troupe.tell(book) { try await $0.write(line) } }
        let last = try await troupe.future(book) { try await $0.write("end of shift") }
        guard case .outcome(let call) = last.origin else { throw ExitCode.failure }
        print(call.callID)
        await troupe.close()
    }
}

/// Asks what became of a call that another process made.
struct Collect: AsyncParsableCommand {
    @OptionGroup var exchange: ExchangeOptions
    @Argument(help: "The id that `send` printed.") var call: String

    func run() async throws {
        let troupe = try await Troupe.connect(to: exchange.url)
        let book = try troupe.handle(Logbook.self, named: "station")
        let outcome = try await troupe.outcome(of: CallID(checking: call), on: book.id, waiting: .seconds(30))
        guard outcome.status == .committed else {
            print("call \(call) is \(outcome.status.rawValue)")
            throw ExitCode.failure
        }
        print("committed: line \(try await troupe.decode(Int.self, from: outcome))")
        await troupe.close()
    }
}
