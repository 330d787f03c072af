import ArgumentParser
import Distributed
import Foundation
import Troupe

// The code that README.md and docs/ show, compiled and run. DocumentationTests looks for each of its lines here.

distributed actor Counter: StatefulActor {
    struct State: ActorState { var count = 0 }
    var state: State
    init(state: State, actorSystem: Troupe) { self.state = state; self.actorSystem = actorSystem }

    distributed func add(_ n: Int) -> Int { state.count += n; return state.count }
    distributed func absorb(_ samples: Proxy<[Double]>) async throws -> Double {
        try await samples[0..<100].reduce(0, +)
    }
}

enum MyTypes: ActorTypes { static let all: [any StatefulActor.Type] = [Counter.self] }
struct MyApp: AsyncParsableCommand {
    static let configuration = CommandConfiguration(subcommands: [WorkerCommand<MyTypes>.self, Hit.self])
}

struct Hit: AsyncParsableCommand {
    @OptionGroup var exchange: ExchangeOptions

    func run() async throws {
        let troupe = try await Troupe.connect(to: exchange.url)
        let hits = try await troupe.spawn(Counter.self, named: "hits", ifExists: .keep)
        print(try await hits.add(1))
        await troupe.close()
    }
}

/// The README's calls, against a worker in this process.
func readme(_ body: (Troupe, Counter, Int, Proxy<Int>) async throws -> Void) async throws {
    let troupe = try await Troupe.connect(to: "memory:")
    let worker = try Worker(troupe, WorkerConfiguration(types: MyTypes.all))
    let running = Task { try await worker.run() }
    let hits = try await troupe.spawn(Counter.self, named: "hits")
    let n = try await hits.add(1)
    try await troupe.tell(hits) { try await $0.add(1) }
    let later = try await troupe.future(hits) { try await $0.add(1) }
    try await body(troupe, hits, n, later)
    running.cancel()
    try await running.value
    await troupe.close()
}

/// The guide on proxies.
func proxies(in directory: String, _ measured: [Double]) async throws -> [Double] {
    let troupe = try await Troupe.connect(to: "memory:")
    let store = try Store(name: "images", connector: FileConnector(directory: directory))
    try troupe.stores.register(store)
    let samples: Proxy<[Double]> = try await store.put(measured)

    let whole = try await samples.resolve()
    let count = try await samples.count
    let slice = try await samples[10..<20]
    await troupe.close()
    return whole.count == count ? Array(slice) : []
}

distributed actor Model: StatefulActor {
    struct State: ActorState { var weights: Proxy<[Double]>? }
    var state: State
    init(state: State, actorSystem: Troupe) { self.state = state; self.actorSystem = actorSystem }

    distributed func train(_ samples: Proxy<[Double]>) { state.weights = samples }
    distributed func weights() throws -> Proxy<[Double]> {
        guard let weights = state.weights else { throw TroupeError(.misuse, "nothing was learned yet") }
        return weights
    }
}

/// The same guide, on objects of other sites.
func objectsOfOtherSites(_ troupe: Troupe, _ samples: Proxy<[Double]>) async throws -> [Double] {
    let there = try await troupe.spawn(Model.self, named: "m", at: "lab-b")
    try await there.train(samples)
    let head = try await there.weights()[0..<100]
    return Array(head)
}

/// The guide on exchanges.
func insisting() async throws {
    var configuration = TroupeConfiguration()
    configuration.durabilityMin = .durable
    let troupe = try await Troupe.connect(to: "memory:", configuration: configuration)
    await troupe.close()
}
