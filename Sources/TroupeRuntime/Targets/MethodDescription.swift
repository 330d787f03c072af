/// A distributed method as people and callers in other languages see it.
package struct MethodDescription: Hashable, Sendable, Codable, CustomStringConvertible {
    package struct Parameter: Hashable, Sendable, Codable {
        /// The argument label; `_` when there is none.
        package let label: String
        /// The type's qualified name, such as `Swift.Array<Swift.Double>`; generic parameters are called `A`, `B`, …
        package let type: String

        package init(label: String, type: String) {
            self.label = label
            self.type = type
        }
    }

    /// The wire name: the name with the argument labels, such as `add(_:)`. A computed property is `total()`.
    package let name: String
    package let parameters: [Parameter]
    /// The result type's qualified name; nil when nothing is returned.
    package let result: String?
    /// How many generic parameters the method itself has.
    package let genericParameterCount: Int

    package init(name: String, parameters: [Parameter], result: String?, genericParameterCount: Int) {
        self.name = name
        self.parameters = parameters
        self.result = result
        self.genericParameterCount = genericParameterCount
    }

    /// The name, the parameters with their types and the result, such as `add(_: Swift.Int) -> Swift.Int`.
    package var description: String {
        let labels = "(" + parameters.map { "\($0.label):" }.joined() + ")"
        let base = name.hasSuffix(labels) ? String(name.dropLast(labels.count)) : name
        let list = parameters.map { "\($0.label): \($0.type)" }.joined(separator: ", ")
        return "\(base)(\(list))" + (result.map { " -> \($0)" } ?? "")
    }
}
