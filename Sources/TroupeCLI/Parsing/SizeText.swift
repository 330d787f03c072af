import ArgumentParser

/// A size on the command line: `1048576`, `512MiB`, `8GiB`.
struct SizeText: Hashable, Sendable {
    let bytes: Int

    init(bytes: Int) { self.bytes = bytes }

    /// Nil unless the text is a whole number, alone or with a unit.
    init?(parsing text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), let unit = Self.bytes(of: text.dropFirst(digits.count)) else { return nil }
        let (bytes, isTooLarge) = number.multipliedReportingOverflow(by: unit)
        guard !isTooLarge else { return nil }
        self.bytes = bytes
    }

    private static func bytes(of unit: Substring) -> Int? {
        switch unit {
        case "", "B": 1
        case "KiB": 1 << 10
        case "MiB": 1 << 20
        case "GiB": 1 << 30
        case "TiB": 1 << 40
        default: nil
        }
    }
}

extension SizeText: ExpressibleByArgument {
    init?(argument: String) { self.init(parsing: argument) }
    var defaultValueDescription: String { bytes == 8 << 30 ? "8GiB" : "\(bytes)" }
}
