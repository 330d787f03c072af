/// A duration on the command line: `500ms`, `30s`, `2m`, `1h30m`.
struct DurationText: Hashable, Sendable {
    let duration: Duration

    init(_ duration: Duration) { self.duration = duration }

    /// Nil unless the text is one or more numbers, each with its unit.
    init?(parsing text: String) {
        var rest = Substring(text)
        var sum = Duration.zero
        guard !rest.isEmpty, rest.utf8.count <= 64 else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            let unit = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let number = Double(digits), let unit = Self.seconds(of: unit) else { return nil }
            let seconds = number * unit
            guard seconds <= Self.longestSeconds else { return nil }
            sum += .nanoseconds(Int64((seconds * 1e9).rounded()))
        }
        duration = sum
    }

    private static let longestSeconds = 10.0 * 365 * 86_400

    private static func seconds(of unit: Substring) -> Double? {
        switch unit {
        case "us": 1e-6
        case "ms": 1e-3
        case "s": 1
        case "m", "min": 60
        case "h": 3600
        case "d": 86_400
        default: nil
        }
    }
}
