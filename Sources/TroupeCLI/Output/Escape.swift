/// Makes text that came out of an exchange harmless to a terminal.
enum Escape {
    /// The text on one line: control characters, line ends and what re-orders text are written as escapes.
    static func line(_ text: some StringProtocol) -> String {
        guard text.unicodeScalars.contains(where: isHazard) else { return String(text) }
        var safe = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": safe += "\\n"
            case "\r": safe += "\\r"
            case "\t": safe += "\\t"
            case _ where isHazard(scalar): safe += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            case _: safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }

    /// Controls of ASCII and Latin-1, line and paragraph separators, and the marks that change the direction of text.
    private static func isHazard(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    /// The first `bytes` bytes of the text, cut between characters; the second part says whether any is missing.
    static func prefix(_ text: String, bytes: Int) -> (text: String, isCut: Bool) {
        guard text.utf8.count > bytes else { return (text, false) }
        var end = text.startIndex
        var used = 0
        for index in text.indices {
            used += text[index].utf8.count
            guard used <= bytes else { break }
            end = text.index(after: index)
        }
        return (String(text[..<end]) + "…", true)
    }
}
