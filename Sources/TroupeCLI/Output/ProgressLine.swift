import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How something long goes, on standard error: on a terminal one line that is written anew about once a second, elsewhere a
/// remark every ten seconds.
final class ProgressLine: Sendable {
    private let terminal: Terminal
    private let isInteractive: Bool
    private let interval: Duration
    private let last = Mutex<ContinuousClock.Instant?>(nil)

    convenience init(_ terminal: Terminal) { self.init(terminal, isInteractive: isatty(STDERR_FILENO) == 1) }

    init(_ terminal: Terminal, isInteractive: Bool) {
        self.terminal = terminal
        self.isInteractive = isInteractive
        interval = isInteractive ? .seconds(1) : .seconds(10)
    }

    func show(_ text: String) {
        let now = ContinuousClock.now
        let isDue = last.withLock { last in
            if let last, now - last < interval { return false }
            last = now
            return true
        }
        guard isDue else { return }
        guard isInteractive else { return terminal.note(text) }
        Self.write("\r\u{1B}[2K\(Escape.line(text))")
    }

    /// Leaves the last line as it is.
    func end() {
        if isInteractive, last.withLock({ $0 }) != nil { Self.write("\n") }
    }

    private static func write(_ text: String) {
        let bytes = Array(text.utf8)
        // A line of progress that cannot be written is not missed.
        _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
