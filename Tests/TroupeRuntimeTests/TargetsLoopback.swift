import Distributed
import Foundation
import Synchronization

@testable import TroupeRuntime

/// The least actor system that carries calls by wire names: what is called on a handle is executed on the actor of the
/// same id in this process, with targets out of the table and never with the target the call left with.
final class Loopback: DistributedActorSystem {
    typealias ActorID = Int
    typealias SerializationRequirement = any Codable & Sendable
    typealias InvocationEncoder = LoopbackEncoder
    typealias InvocationDecoder = LoopbackDecoder
    typealias ResultHandler = LoopbackResult

    struct Sent: Sendable {
        let target: String
        let call: WireCall
        let genericArguments: Int
    }

    private struct State {
        var actors: [Int: any DistributedActor] = [:]
        var sent: [Sent] = []
        var count = 0
    }

    private let state = Mutex(State())

    /// The calls that have left, oldest first.
    var sent: [Sent] { state.withLock { $0.sent } }

    func resolve<Act: DistributedActor>(id: Int, as: Act.Type) throws -> Act? where Act.ID == Int { nil }

    func assignID<Act: DistributedActor>(_ type: Act.Type) -> Int where Act.ID == Int {
        state.withLock {
            $0.count += 1
            return $0.count
        }
    }

    func actorReady<Act: DistributedActor>(_ actor: Act) where Act.ID == Int {
        state.withLock { $0.actors[actor.id] = actor }
    }

    func resignID(_ id: Int) {}

    func makeInvocationEncoder() -> LoopbackEncoder { LoopbackEncoder() }

    func remoteCall<Act: DistributedActor, Err: Error, Res: Codable & Sendable>(
        on actor: Act, target: RemoteCallTarget, invocation: inout LoopbackEncoder, throwing: Err.Type,
        returning: Res.Type
    ) async throws -> Res where Act.ID == Int {
        let answer = try await deliver(to: actor.id, target: target.identifier, invocation)
        return try JSONDecoder().decode([Res].self, from: answer)[0]
    }

    func remoteCallVoid<Act: DistributedActor, Err: Error>(
        on actor: Act, target: RemoteCallTarget, invocation: inout LoopbackEncoder, throwing: Err.Type
    ) async throws where Act.ID == Int {
        _ = try await deliver(to: actor.id, target: target.identifier, invocation)
    }

    private func deliver(to id: Int, target: String, _ invocation: LoopbackEncoder) async throws -> Data {
        let call = TargetTable.linked.wireCall(ofTarget: target)
        let travelling = call.travelling(of: invocation.genericArguments)
        let found = state.withLock {
            $0.sent.append(Sent(target: target, call: call, genericArguments: travelling.count))
            return $0.actors[id]
        }
        guard let actor = found else { throw LoopbackError(message: "no actor \(id)") }
        let type = Swift.type(of: actor) as any DistributedActor.Type
        let method = try TargetTable.linked.targets(of: type).method(call.method)
        let received = try travelling.map { name in
            guard let type = _typeByName(name) else { throw LoopbackError(message: "no type \(name)") }
            return type as any Any.Type
        }
        var decoder = LoopbackDecoder(
            genericArguments: try method.genericArguments(received: received, on: type),
            arguments: invocation.arguments)
        let result = LoopbackResult()
        try await executeDistributedTarget(
            on: actor, target: RemoteCallTarget(method.target), invocationDecoder: &decoder, handler: result)
        return try result.answer.withLock { $0 }.get()
    }
}

struct LoopbackError: Error, Equatable { let message: String }

struct LoopbackEncoder: DistributedTargetInvocationEncoder {
    typealias SerializationRequirement = any Codable & Sendable
    var genericArguments: [String] = []
    var arguments: [Data] = []

    mutating func recordGenericSubstitution<T>(_ type: T.Type) throws {
        genericArguments.append(_mangledTypeName(type) ?? "")
    }

    mutating func recordArgument<Value: Codable & Sendable>(_ argument: RemoteCallArgument<Value>) throws {
        arguments.append(try JSONEncoder().encode([argument.value]))
    }

    mutating func recordReturnType<R: Codable & Sendable>(_ type: R.Type) throws {}
    mutating func recordErrorType<E: Error>(_ type: E.Type) throws {}
    mutating func doneRecording() throws {}
}

struct LoopbackDecoder: DistributedTargetInvocationDecoder {
    typealias SerializationRequirement = any Codable & Sendable
    let genericArguments: [any Any.Type]
    var arguments: [Data]

    mutating func decodeGenericSubstitutions() throws -> [any Any.Type] { genericArguments }

    mutating func decodeNextArgument<Argument: Codable & Sendable>() throws -> Argument {
        guard !arguments.isEmpty else { throw LoopbackError(message: "too few arguments") }
        return try JSONDecoder().decode([Argument].self, from: arguments.removeFirst())[0]
    }

    mutating func decodeReturnType() throws -> (any Any.Type)? { nil }
    mutating func decodeErrorType() throws -> (any Any.Type)? { nil }
}

final class LoopbackResult: DistributedTargetInvocationResultHandler, Sendable {
    typealias SerializationRequirement = any Codable & Sendable
    let answer = Mutex<Result<Data, any Error>>(.success(Data()))

    func onReturn<Success: Codable & Sendable>(value: Success) async throws {
        let data = try JSONEncoder().encode([value])
        answer.withLock { $0 = .success(data) }
    }

    func onReturnVoid() async throws {}
    func onThrow<Err: Error>(error: Err) async throws { answer.withLock { $0 = .failure(error) } }
}
