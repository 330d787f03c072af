import TroupeCore

/// Puts the words after a method's name in the order of its parameters.
///
/// A word is `label=value` or `--label value` / `--label=value` where the method has that label; every other word is the
/// value of the next parameter that has none yet.
enum ArgumentBinding {
    static func bind(_ words: [String], to method: MethodDescription) throws(Failure) -> [String] {
        var values = [String?](repeating: nil, count: method.labels.count)
        var positional: [String] = []
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            guard let (parameter, inlined) = named(word, in: method, taken: values) else {
                if word != "--" { positional.append(word) }
                continue
            }
            if let inlined {
                values[parameter] = inlined
            } else {
                guard index < words.count else {
                    throw Failure(.usage, "\(word) is without its value; \(shape(method))")
                }
                values[parameter] = words[index]
                index += 1
            }
        }
        return try fill(values, with: positional, of: method)
    }

    /// The parameter that a word names, with its value when that is part of the word.
    private static func named(
        _ word: String, in method: MethodDescription, taken: [String?]
    ) -> (parameter: Int, value: String?)? {
        let isOption = word.hasPrefix("--")
        let body = isOption ? word.dropFirst(2) : Substring(word)
        let label = body.prefix { $0 != "=" }
        let value = body.count > label.count ? String(body.dropFirst(label.count + 1)) : nil
        guard isOption || value != nil, label != "_" else { return nil }
        let parameter = method.labels.indices.first { method.labels[$0] == label && taken[$0] == nil }
        return parameter.map { ($0, value) }
    }

    private static func fill(
        _ values: [String?], with positional: [String], of method: MethodDescription
    ) throws(Failure) -> [String] {
        var rest = positional[...]
        var filled: [String] = []
        for value in values {
            guard let next = value ?? rest.popFirst() else {
                throw Failure(.usage, "too few arguments: \(shape(method))")
            }
            filled.append(next)
        }
        guard let extra = rest.first else { return filled }
        throw Failure(.usage, "'\(Escape.line(extra))' is one argument too many: \(shape(method))")
    }

    private static func shape(_ method: MethodDescription) -> String {
        "the method is \(Escape.line(method.signature.isEmpty ? method.name : method.signature))"
    }
}
