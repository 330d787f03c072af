import CBOR
import Distributed
package import TroupeCore

/// An actor type that this process can host.
package struct RegisteredType: Sendable {
    let type: any StatefulActor.Type
    package let description: TypeDescription
    let pace = Pace()
    private let targets: ActorTargets
    private let instantiate: @Sendable ([UInt8], ActorID, Troupe) async throws -> any StatefulActor

    var wireName: String { description.name }
    var isEager: Bool { description.isEager }

    package init<Act: StatefulActor>(_ type: Act.Type) throws(TroupeError) {
        self.type = type
        let targets = TargetTable.linked.targets(of: type)
        self.targets = targets
        instantiate = { try await Self.instantiate(type, $0, $1, $2) }
        let initialState: [UInt8]?
        do {
            initialState = try type.initialState.map { try CBOREncoder().encode($0) }
        } catch {
            throw TroupeError(.undecodable, "the initial state of \(type.wireName) does not encode: \(error)")
        }
        description = TypeDescription(
            name: type.wireName,
            methods: targets.methods.map {
                TroupeCore.MethodDescription(
                    name: $0.name, labels: $0.parameters.map(\.label), signature: $0.description)
            },
            initialState: initialState, options: type.options, isEager: type.isEager)
    }

    /// The method in this process, and the generic arguments to execute it with.
    func method(of envelope: Envelope) throws -> (target: String, generics: [any Any.Type]) {
        let received = try envelope.generics.map { name in
            guard let type = TypeNames.type(named: name) else {
                throw Undecodable("the running code has no type '\(TypeNames.readable(name))'")
            }
            return type
        }
        do {
            let method = try targets.method(envelope.method)
            return (method.target, try method.genericArguments(received: received, on: type))
        } catch {
            throw Undecodable(error.message)
        }
    }

    /// Brings an actor to life from its encoded state.
    ///
    /// - Throws: ``Undecodable``, or ``ExchangeError`` if it cannot be asked what it counts of the state's references.
    func activate(_ state: [UInt8], _ id: ActorID, _ system: Troupe) async throws -> any StatefulActor {
        try await instantiate(state, id, system)
    }

    private static func instantiate<Act: StatefulActor>(
        _ type: Act.Type, _ state: [UInt8], _ id: ActorID, _ system: Troupe
    ) async throws -> any StatefulActor {
        let decoded: Act.State
        do {
            // Another site may have made it.
            decoded = try await system.decode(Act.State.self, checking: state)
        } catch let error as ExchangeError {
            throw error
        } catch {
            throw Undecodable("the stored state of \(id) does not decode as \(Act.self).State: \(error)")
        }
        let actor: Act = CallContext.$spawning.withValue(id) { Act(state: decoded, actorSystem: system) }
        return actor
    }
}
