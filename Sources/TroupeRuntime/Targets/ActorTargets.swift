package import Distributed

/// A distributed method that can be executed in this process.
package struct LinkedMethod: Hashable, Sendable {
    /// The mangled target, for `RemoteCallTarget`.
    package let target: String
    package let description: MethodDescription
    /// The qualified name of the type or the protocol that declares it.
    package let declaredBy: String
    /// Declared in a protocol's extension, so that its first generic argument is the actor's type.
    let isOfProtocol: Bool

    /// The generic arguments to execute the method with on an actor of `type`, out of those that travelled.
    ///
    /// - Throws: `TargetError` with `genericArguments` when they are too few or too many, and for a generic method of a
    ///   generic actor, which Swift cannot execute.
    package func genericArguments(
        received: [any Any.Type], on type: any DistributedActor.Type
    ) throws(TargetError) -> [any Any.Type] {
        let expected = description.genericParameterCount
        let isGenericActor = !isOfProtocol && String(describing: type).hasSuffix(">")
        // The Swift 6.3 runtime executes such a method and loses its result.
        if isGenericActor, expected > 0 {
            throw .genericMethodOfGenericActor(description.name, on: TargetTable.qualifiedName(of: type))
        }
        guard isGenericActor ? received.count > expected : received.count == expected else {
            throw .genericArguments(
                description.name, on: TargetTable.qualifiedName(of: type),
                expected: isGenericActor ? expected + 1 : expected, found: received.count)
        }
        return isOfProtocol ? [type] + received : received
    }
}

/// All that can be called on actors of one type, by wire name.
package struct ActorTargets: Sendable {
    /// The type's qualified name.
    package let type: String
    private let byName: [String: [LinkedMethod]]

    /// A method of the type itself comes before one that a protocol extension gives it.
    init(type: String, own: [LinkedMethod], inherited: [LinkedMethod]) {
        self.type = type
        byName = Dictionary(grouping: inherited, by: \.description.name)
            .merging(Dictionary(grouping: own, by: \.description.name)) { _, own in own }
    }

    /// The methods that can be called, by name; those that share a wire name are all in it.
    package var methods: [MethodDescription] {
        byName.values.joined().map(\.description).sorted { ($0.name, $0.description) < ($1.name, $1.description) }
    }

    /// The method of that wire name.
    ///
    /// - Throws: `TargetError` with `unknownType`, `unknownMethod`, or `ambiguousMethod` naming all that share the name.
    package func method(_ name: String) throws(TargetError) -> LinkedMethod {
        guard let candidates = byName[name], let first = candidates.first else {
            throw byName.isEmpty ? .unknownType(type) : .unknownMethod(name, on: type, known: byName.keys.sorted())
        }
        guard candidates.count == 1 else { throw clash(of: candidates, named: name) }
        return first
    }

    /// Checks that every wire name stands for one method: to be called when the type is registered.
    ///
    /// - Throws: `TargetError` with `ambiguousMethod` for the first name that does not.
    package func checkUnambiguous() throws(TargetError) {
        for (name, candidates) in byName.sorted(by: { $0.key < $1.key }) where candidates.count > 1 {
            throw clash(of: candidates, named: name)
        }
    }

    private func clash(of candidates: [LinkedMethod], named name: String) -> TargetError {
        let shown = candidates.map {
            $0.declaredBy == type ? "\($0.description)" : "\($0.description) of \($0.declaredBy)"
        }
        return .ambiguousMethod(name, on: type, candidates: shown.sorted())
    }
}
