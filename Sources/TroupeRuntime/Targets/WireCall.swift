/// What travels of a call in the place of its mangled target.
package struct WireCall: Hashable, Sendable {
    /// The wire name of the method, such as `add(_:)`.
    package let method: String
    /// How many generic parameters the method itself has; nil when all recorded generic arguments travel.
    private let genericParameterCount: Int?

    private init(method: String, genericParameterCount: Int?) {
        self.method = method
        self.genericParameterCount = genericParameterCount
    }

    init(name: TargetName, isOfProtocol: Bool) {
        let count = name.isStub || isOfProtocol ? name.method.genericParameterCount : nil
        self.init(method: name.method.name, genericParameterCount: count)
    }

    /// For a target that came with a library opened after the table was read.
    init(unlisted identifier: String) {
        guard let text = LinkedTargets.demangled(identifier), let name = TargetName(demangled: text) else {
            self.init(method: identifier, genericParameterCount: nil)
            return
        }
        self.init(name: name, isOfProtocol: false)
    }

    /// The recorded generic arguments that travel: a stub's and a protocol extension's own `Self` does not, since only
    /// the receiver knows which type it is there.
    package func travelling<Argument>(of recorded: [Argument]) -> [Argument] {
        guard let genericParameterCount else { return recorded }
        return Array(recorded.suffix(genericParameterCount))
    }
}
