import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where a command prints.
struct Terminal: Sendable {
    /// Whoever read the output has gone (`troupe actor ls --all | head`): the command ends, quietly.
    struct ReaderGone: Error {}

    let isColoured: Bool
    private let sink: @Sendable (String) throws -> Void
    private let noteSink: @Sendable (String) -> Void

    /// - Parameters:
    ///   - sink: takes whole lines with their ends.
    ///   - note: takes remarks that are not part of the result.
    init(
        isColoured: Bool, sink: @escaping @Sendable (String) throws -> Void, note: @escaping @Sendable (String) -> Void
    ) {
        self.isColoured = isColoured
        self.sink = sink
        noteSink = note
    }

    /// Standard output, and standard error for remarks.
    static func standard() -> Terminal {
        let isColoured =
            isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == nil
            && getenv("TERM").map { String(cString: $0) } != "dumb"
        return Terminal(isColoured: isColoured) { text in
            try write(text, to: STDOUT_FILENO)
        } note: { text in
            try? write("troupe: \(Escape.line(text))\n", to: STDERR_FILENO)
        }
    }

    func print(_ line: String) throws { try sink(line + "\n") }

    func print(lines: [String]) throws {
        guard !lines.isEmpty else { return }
        try sink(lines.joined(separator: "\n") + "\n")
    }

    func print(json value: some Encodable) throws { try print(JSONText.of(value)) }

    /// A remark on standard error.
    func note(_ text: String) { noteSink(text) }

    func styled(_ text: String, _ style: Style) -> String { isColoured ? style.apply(text) : text }

    private static func write(_ text: String, to descriptor: Int32) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw ReaderGone()
            }
            rest = rest.dropFirst(count)
        }
    }
}
