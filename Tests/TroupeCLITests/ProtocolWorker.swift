import CBOR
import TroupeCore

@testable import TroupeCLI

/// A worker at the level of the exchange's protocol: it claims, runs and commits, without a Swift actor behind it.
///
/// It hosts `Counter`, whose state is `{"count": n}`, and `Note`, which keeps nothing.
struct ProtocolWorker {
    let id: WorkerID
    let exchange: Exchange
    private var cursor = Cursor()
    private var activations: [ActorID: Running] = [:]
    private var isDraining = false

    private struct Running {
        var epoch: Epoch
        var commits: UInt64 = 0
        var count: Int
    }

    init(_ id: String = "w-1", on exchange: Exchange) {
        self.id = WorkerID(unchecked: id)
        self.exchange = exchange
    }

    static let types = [
        TypeDescription(
            name: "Counter",
            methods: [
                MethodDescription(name: "add(_:)", labels: ["_"], signature: "add(_: Swift.Int) -> Swift.Int"),
                MethodDescription(name: "value()", labels: [], signature: "value() -> Swift.Int"),
                MethodDescription(name: "fail(_:)", labels: ["_"], signature: "fail(_: Swift.String)"),
                MethodDescription(name: "garble()", labels: [], signature: "garble()"),
                MethodDescription(
                    name: "echo(first:second:)", labels: ["first", "second"],
                    signature: "echo(first: Swift.Int, second: Swift.Double) -> [Swift.Double]"),
            ],
            initialState: state(0), options: ActorOptions(), isEager: false),
        TypeDescription(
            name: "Note",
            methods: [
                MethodDescription(name: "keep(_:)", labels: ["_"], signature: "keep(_: Swift.String) -> Swift.String"),
                MethodDescription(
                    name: "keep(_:at:)", labels: ["_", "at"], signature: "keep(_: Swift.String, at: Swift.Int)"),
                MethodDescription(name: "bytes()", labels: [], signature: "bytes() -> Foundation.Data"),
            ],
            initialState: [0xA0], options: ActorOptions(), isEager: false),
    ]

    static func state(_ count: Int) -> [UInt8] { encoded(.map([.init(.text("count"), .integer(count))])) }

    static func encoded(_ value: CBORValue) -> [UInt8] {
        do { return try value.encoded() } catch { preconditionFailure("a test's value cannot be encoded: \(error)") }
    }

    func register(pools: [String] = ["default"]) async throws {
        let registration = WorkerRegistration(
            id: id, pools: pools, types: Self.types, host: "bench", pid: 4711, activationsMax: 10, lease: .seconds(60))
        for shard in exchange.shards { _ = try await shard.perform(.registerWorker(registration)) }
    }

    /// Works on one shard until the task is cancelled or the worker is drained.
    mutating func run(shard index: Int = 0) async throws {
        let shard = exchange.shards[index]
        try await claim(shard)
        while !Task.isCancelled, !isDraining {
            let deliveries = try await shard.deliveries(id, after: cursor, max: 100, timeout: .seconds(5))
            cursor = deliveries.cursor
            for delivery in deliveries.items { try await take(delivery, shard) }
        }
        guard isDraining else { return }
        _ = try await shard.perform(.deregister(id))
    }

    private mutating func take(_ delivery: Delivery, _ shard: any Shard) async throws {
        switch delivery {
        case .envelope(let actor, _, let queued): try await run(queued, of: actor, shard)
        case .ready: try await claim(shard)
        case .stop(let actor, _): activations[actor] = nil
        case .cancel: break
        case .drain: isDraining = true
        }
    }

    private mutating func claim(_ shard: any Shard) async throws {
        guard case .claimed(let result) = try await shard.perform(.claim(id, max: 10, only: nil, greedy: true)) else {
            return
        }
        for activation in result.activations {
            let count = (try? CBORValue(decoding: activation.state))?["count"]?.asInt ?? 0
            activations[activation.actor] = Running(epoch: activation.epoch, count: count)
            for queued in activation.envelopes { try await run(queued, of: activation.actor, shard) }
        }
    }

    private mutating func run(_ queued: QueuedEnvelope, of actor: ActorID, _ shard: any Shard) async throws {
        guard var running = activations[actor] else { return }
        let disposition = Self.turn(queued.envelope, &running.count)
        running.commits += 1
        activations[actor] = running
        let commit = TurnCommit(
            actor: actor, epoch: running.epoch, number: running.commits,
            acknowledgements: [.init(sequence: queued.sequence, id: queued.envelope.id, disposition: disposition)],
            state: actor.type == "Counter" ? .init(bytes: Self.state(running.count)) : nil)
        _ = try await shard.perform(.commit(id, [commit]))
    }

    private static func turn(_ envelope: Envelope, _ count: inout Int) -> TurnCommit.Disposition {
        guard case .array(let arguments)? = try? CBORValue(decoding: envelope.arguments) else {
            return .undecodable(reason: "the arguments are no list")
        }
        switch envelope.method {
        case "add(_:)":
            guard let number = try? CBORDecoder().decode([Int].self, from: envelope.arguments) else {
                return .undecodable(reason: "argument 1 of add(_:) is not an Int")
            }
            count += number[0]
            return .completed(encoded(.integer(count)), references: [])
        case "value()": return .completed(encoded(.integer(count)), references: [])
        case "fail(_:)":
            let error = CBORValue.map([
                .init(.text("type"), .text("Refusal")), .init(.text("message"), arguments[0]),
            ])
            return .failed(encoded(error))
        case "garble()": return .undecodable(reason: "the code has no garble()")
        case "bytes()": return .completed(encoded(.bytes([1, 2])), references: [])
        default: return .completed(encoded(.array(arguments)), references: [])
        }
    }
}

extension Exchange {
    static func inMemory(shards: Int = 1) -> Exchange {
        Exchange(shards: (0..<shards).map { _ in MemoryShard() }, address: "memory:")
    }

    /// Runs `body` while a worker works on every shard.
    func withWorker<Result: Sendable>(
        _ body: @Sendable (Exchange) async throws -> Result
    ) async throws -> Result {
        try await ProtocolWorker(on: self).register()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for index in shards.indices {
                group.addTask {
                    var worker = ProtocolWorker(on: self)
                    try await worker.run(shard: index)
                }
            }
            let result = try await body(self)
            group.cancelAll()
            return result
        }
    }

    /// Stores a one-way message as some other client would.
    func store(_ method: String, _ arguments: CBORValue, in actor: ActorID, id: String) async throws {
        let envelope = Envelope(
            id: CallID(unchecked: id), kind: .tell, target: actor, sender: "elsewhere", method: method,
            arguments: ProtocolWorker.encoded(arguments), sentAt: SystemClock().now())
        _ = try await shard(of: actor).perform(
            .send([envelope], from: ClientID(unchecked: "elsewhere"), resuming: false))
    }

    func spawn(_ text: String, labels: [String: String] = [:]) async throws -> ActorID {
        let id = try ActorID(parsing: text)
        _ = try await shard(of: id).perform(
            .register(ActorRegistration(id: id, labels: labels, state: ProtocolWorker.state(0))))
        return id
    }
}
