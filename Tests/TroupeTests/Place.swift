import Foundation
import Testing
import Troupe
import TroupeTesting

/// The exchanges on which every promise is tried, as a user would name them.
enum Place: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case memory
    case embedded
    case redis
    /// Four shards, so that most messages between actors go from one to another.
    case shards

    var testDescription: String { rawValue }
}

/// A caller and a worker, each a member of the exchange of its own where that can be.
struct Scene: Sendable {
    let caller: Troupe
    let host: Troupe
    let worker: Worker

    func shard(of actor: ActorID) -> any Shard { caller.courier.exchange.shard(of: actor) }

    func stat(_ actor: ActorID) async throws -> ActorStat {
        guard case .stat(let stat) = try await shard(of: actor).perform(.stat(actor)) else {
            throw TroupeError(.noSuchActor, "there is no actor \(actor)")
        }
        return stat
    }

    /// Waits until an actor's numbers are as wanted.
    func wait(for actor: ActorID, until isWanted: (ActorStat) -> Bool) async throws {
        try await eventually("\(actor)") { isWanted(try await stat(actor)) }
    }

    func deadLetters(_ actor: ActorID) async throws -> [DeadLetter] {
        let answer = try await shard(of: actor).perform(.deadLetters(actor, after: 0, limit: 100))
        guard case .deadLetters(let letters) = answer else { throw answer.unexpected("deadLetters") }
        return letters
    }

    func pause(_ actor: ActorID, _ isPaused: Bool) async throws {
        _ = try await shard(of: actor).perform(.pause(actor, isPaused))
    }

    func peek(_ actor: ActorID) async throws -> [Envelope] {
        let answer = try await shard(of: actor).perform(.peek(actor, after: 0, limit: 100))
        guard case .peeked(let queued) = answer else { throw answer.unexpected("peek") }
        return queued.map(\.envelope)
    }
}

/// Runs the body with a worker for the types on an exchange.
func withScene(
    _ place: Place, _ types: [any StatefulActor.Type],
    configure: @Sendable (inout WorkerConfiguration) -> Void = { _ in }, _ body: (Scene) async throws -> Void
) async throws {
    var server: RedisServer?
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
        "troupe-scene-\(UUID().uuidString.prefix(8))")
    defer { try? FileManager.default.removeItem(at: directory) }
    let url: String
    switch place {
    case .memory: url = "memory:"
    case .embedded: url = "embedded:\(directory.path)"
    case .redis, .shards:
        let started = try await RedisServer.start()
        server = started
        url = started.unixURL + (place == .shards ? "?shards=4" : "")
    }
    let caller = try await Troupe.connect(to: url, configuration: ownStores())
    let host = place == .memory ? caller : try await Troupe.connect(to: url, configuration: ownStores())
    var configuration = WorkerConfiguration(types: types)
    configure(&configuration)
    let worker = try Worker(host, configuration)
    let running = Task { try await worker.run() }
    let result: Result<Void, any Error>
    do {
        try await body(Scene(caller: caller, host: host, worker: worker))
        result = .success(())
    } catch {
        result = .failure(error)
    }
    Gate.openAll()
    running.cancel()
    try? await running.value
    await caller.close()
    if place != .memory { await host.close() }
    server?.kill()
    try result.get()
}

/// Members in one process that are to be as members of two.
private func ownStores() -> TroupeConfiguration {
    var configuration = TroupeConfiguration()
    configuration.stores = StoreRegistry()
    return configuration
}
