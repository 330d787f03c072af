import Distributed

@Resolvable
protocol Tallying: DistributedActor where ActorSystem == Loopback {
    distributed func add(_ n: Int) throws -> Int
    distributed func echo<Value: Codable & Sendable>(_ value: Value) async throws -> Value
    distributed func greeting(for name: String) async -> String
}

/// With a default implementation of a method in an extension.
protocol Greeting: DistributedActor where ActorSystem == Loopback {
    var salutation: String { get }
}

extension Greeting {
    distributed func greeting(for name: String) async -> String { "\(salutation), \(name)" }
    distributed func pair<Value: Codable & Sendable>(_ value: Value) -> [Value] { [value, value] }
}

struct Refusal: Error, Codable, Equatable { var reason: String }

distributed actor Tally: Tallying, Greeting {
    typealias ActorSystem = Loopback
    var sum = 0
    let salutation = "Hello"

    distributed var total: Int { sum }
    distributed func add(_ n: Int) throws -> Int {
        guard n >= 0 else { throw Refusal(reason: "negative") }
        sum += n
        return sum
    }
    distributed func echo<Value: Codable & Sendable>(_ value: Value) async throws -> Value { value }
    distributed func zip<A: Codable & Sendable & Hashable, B: Codable & Sendable>(
        keys: [A], _ values: [B]
    ) -> [A: B] { Dictionary(uniqueKeysWithValues: Swift.zip(keys, values)) }
    distributed func reset() { sum = 0 }
    distributed func `repeat`(`in` text: String, with count: Int = 2) async throws -> [String]? {
        Array(repeating: text, count: count)
    }
    distributed func `odd (name)`(`a label`: Int) -> Int { `a label` }
    distributed func größe(maß: Double) -> Double { maß }
    fileprivate distributed func hidden(_ n: Int) -> Int { n }
    func callHidden(_ other: Tally, _ n: Int) async throws -> Int { try await other.hidden(n) }
}

extension Tally {
    distributed func scale(by factor: Int) -> Int {
        sum *= factor
        return sum
    }
}

enum Outer {
    struct Options: Codable, Sendable { var depth = 3 }
}

extension Outer {
    distributed actor Inner {
        typealias ActorSystem = Loopback
        distributed func depth(of options: Options?) -> Int { options?.depth ?? 0 }
        distributed actor Innermost {
            typealias ActorSystem = Loopback
            distributed func name() -> String { "innermost" }
        }
    }
}

distributed actor Overloaded {
    typealias ActorSystem = Loopback
    distributed func put(_ n: Int) -> String { "int" }
    distributed func put(_ text: String) -> String { "string" }
    distributed func fine() -> Bool { true }
}

distributed actor Box<Value: Codable & Sendable> {
    typealias ActorSystem = Loopback
    distributed func keep(_ value: Value) -> Value { value }
    distributed func convert<Other: Codable & Sendable>(_ value: Value, to other: Other) -> Other { other }
}

extension Box where Value == Int {
    distributed func double(_ value: Int) -> Int { 2 * value }
}

/// Has methods, and none that is distributed.
distributed actor Silent {
    typealias ActorSystem = Loopback
}

private distributed actor Secret {
    typealias ActorSystem = Loopback
    distributed func whisper(_ text: String) -> String { text.lowercased() }
}

func whisperToSecret(_ text: String, in system: Loopback) async throws -> String {
    let secret = Secret(actorSystem: system)
    return try await Secret.resolve(id: secret.id, using: system).whisper(text)
}

func askLocal(in system: Loopback) async throws -> Int {
    distributed actor Local {
        typealias ActorSystem = Loopback
        distributed func answer() -> Int { 42 }
    }
    let local = Local(actorSystem: system)
    return try await Local.resolve(id: local.id, using: system).answer()
}
