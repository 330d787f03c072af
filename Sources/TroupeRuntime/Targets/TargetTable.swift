package import Distributed

/// The distributed methods linked into this process, by type and wire name.
///
/// The compiler writes a record of every distributed method into the section `swift5_accessible_functions` of the
/// image that declares it. The table is read from there once, so nobody needs to list methods or generate code, and
/// what travels is `Counter` and `add(_:)` rather than a mangled name. The table sees the executable and all shared
/// libraries that are loaded when it is first used, in debug and release builds, with a shared or a static standard
/// library; it does not see libraries that are opened later.
package struct TargetTable: Sendable {
    /// The methods linked into this process; read when first used.
    package static let linked = TargetTable(mangledNames: LinkedTargets.mangledNames())

    /// Methods by the canonical name of the type that declares them.
    private let byType: [String: [LinkedMethod]]
    /// Methods of protocol extensions, with their protocols.
    private let ofProtocols: [ProtocolMethod]
    /// Every target a call can leave with, those of stubs too.
    private let wireCalls: [String: WireCall]

    private struct ProtocolMethod: Sendable {
        let conformance: any Any.Type
        let method: LinkedMethod
    }

    /// Makes the table of some mangled names; those that are no distributed methods are left out.
    init(mangledNames: [String]) {
        var byType: [String: [LinkedMethod]] = [:]
        var ofProtocols: [ProtocolMethod] = []
        var wireCalls: [String: WireCall] = [:]
        for mangled in mangledNames {
            guard let text = LinkedTargets.demangled(mangled), let name = TargetName(demangled: text) else { continue }
            let extended =
                name.isInExtension && !name.isStub
                ? LinkedTargets.protocolExtended(by: mangled, named: name.type) : nil
            wireCalls[mangled] = WireCall(name: name, isOfProtocol: extended != nil)
            if name.isStub { continue }
            if let extended {
                let method = LinkedMethod(
                    target: mangled, description: name.method, declaredBy: name.type, isOfProtocol: true)
                ofProtocols.append(ProtocolMethod(conformance: extended, method: method))
            } else {
                let method = LinkedMethod(
                    target: mangled, description: name.method, declaredBy: name.type, isOfProtocol: false)
                byType[name.type, default: []].append(method)
            }
        }
        self.byType = byType
        self.ofProtocols = ofProtocols
        self.wireCalls = wireCalls
    }

    /// All that can be called on actors of `type`, methods of protocol extensions included: to be kept with the type
    /// when it is registered.
    package func targets(of type: any DistributedActor.Type) -> ActorTargets {
        let name = Self.qualifiedName(of: type)
        let inherited = ofProtocols.filter { LinkedTargets.conforms(type, to: $0.conformance) }.map(\.method)
        return ActorTargets(type: name, own: byType[name] ?? [], inherited: inherited)
    }

    /// All that the type of that qualified name (`Module.Outer.Counter`) declares itself.
    package func targets(ofType name: String) -> ActorTargets {
        ActorTargets(type: name, own: byType[name] ?? [], inherited: [])
    }

    /// The mangled target of a method that the type of that qualified name declares itself.
    package func target(type: String, method: String) throws(TargetError) -> String {
        try targets(ofType: type).method(method).target
    }

    /// The methods that the type of that qualified name declares itself, by name.
    package func methods(ofType type: String) -> [MethodDescription] {
        targets(ofType: type).methods
    }

    /// What travels of a call that leaves with the target `identifier`; one look-up in a table, no lock.
    package func wireCall(ofTarget identifier: String) -> WireCall {
        wireCalls[identifier] ?? WireCall(unlisted: identifier)
    }

    /// The wire name of the method behind a target, be it of an actor, a protocol extension or a protocol's stub.
    package func wireMethod(ofTarget identifier: String) -> String {
        wireCall(ofTarget: identifier).method
    }

    /// The name a type has in this table: `Module.Outer.Counter`, without generic arguments. Types that are private or
    /// local to a function are called by their module and own name.
    package static func qualifiedName(of type: any Any.Type) -> String {
        TargetName.canonical(typeName: String(reflecting: type))
    }
}
