/// What a published signature says about the types of its parameters; only a hint, for reading words as values.
enum ParameterTypes {
    /// The types of `add(_: Swift.Int, to: Swift.String) -> Swift.Int`, or nil if the text is not of that form.
    static func of(signature: String, count: Int) -> [String]? {
        guard let open = signature.firstIndex(of: "(") else { return nil }
        var types: [String] = []
        var current = ""
        var depth = 0
        var hasColon = false
        for character in signature[signature.index(after: open)...] {
            if depth == 0, character == ")" || character == "," {
                if hasColon { types.append(current.trimmingSpaces) }
                if character == ")" { break }
                (current, hasColon) = ("", false)
                continue
            }
            if "([<".contains(character) { depth += 1 }
            // The arrow of a function type closes nothing.
            if ")]>".contains(character), !(character == ">" && current.hasSuffix("-")) { depth -= 1 }
            if depth == 0, character == ":", !hasColon {
                (current, hasColon) = ("", true)
            } else {
                current.append(character)
            }
        }
        return types.count == count ? types : nil
    }

    static func isText(_ type: String) -> Bool {
        ["String", "Swift.String", "String?", "Swift.String?", "Swift.Optional<Swift.String>"].contains(type)
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
