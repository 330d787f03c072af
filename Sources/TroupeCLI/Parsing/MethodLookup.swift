import TroupeCore

/// Finds the method that a word on the command line means, among those that a type has published.
enum MethodLookup {
    /// By full wire name (`add(_:)`) or, where only one has it, by base name (`add`).
    static func find(_ word: String, in type: TypeDescription) throws(Failure) -> MethodDescription {
        if let exact = type.methods.first(where: { $0.name == word }) { return exact }
        let candidates = type.methods.filter { baseName(of: $0) == word }
        if candidates.count == 1 { return candidates[0] }
        guard candidates.isEmpty else {
            throw Failure(
                .refused,
                "'\(word)' of \(type.name) is one of \(list(candidates)); write the full name, in quotes")
        }
        let known = type.methods.isEmpty ? "it has none" : "it has \(list(type.methods))"
        throw Failure(.refused, "\(type.name) has no method '\(Escape.line(word))'; \(known)")
    }

    /// A method by its full name alone, `transfer(to:_:)`; nil if the word is none.
    static func described(_ word: String) -> MethodDescription? {
        guard let open = word.firstIndex(of: "("), open != word.startIndex, word.hasSuffix(")") else { return nil }
        let inside = word[word.index(after: open)...].dropLast()
        guard inside.isEmpty || inside.hasSuffix(":") else { return nil }
        let labels = inside.split(separator: ":").map(String.init)
        return MethodDescription(name: word, labels: labels, signature: word)
    }

    static func baseName(of method: MethodDescription) -> String {
        String(method.name.prefix { $0 != "(" })
    }

    private static func list(_ methods: [MethodDescription]) -> String {
        let shown = methods.prefix(20).map { Escape.line($0.name) }.sorted().joined(separator: ", ")
        return methods.count > 20 ? "\(shown), …" : shown
    }
}
