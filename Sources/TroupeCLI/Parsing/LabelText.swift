import TroupeCore

/// A label on the command line: `name=value`.
struct LabelText: Hashable, Sendable {
    let label: ActorLabel

    /// Nil without a `=` or with an empty name.
    init?(parsing text: String) {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { return nil }
        label = ActorLabel(name: String(text[..<equals]), value: String(text[text.index(after: equals)...]))
    }
}
