package import Logging

/// Hands over what is logged, each as a line with its level and metadata.
package struct LineLog: LogHandler {
    private let write: @Sendable (String) -> Void
    package var logLevel = Logger.Level.debug
    package var metadata = Logger.Metadata()

    /// A logger whose lines go to `write`.
    package static func logger(_ label: String, to write: @escaping @Sendable (String) -> Void) -> Logger {
        Logger(label: label) { _ in LineLog(write: write) }
    }

    private init(write: @escaping @Sendable (String) -> Void) { self.write = write }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let more = event.metadata ?? [:]
        write("\(event.level) \(event.message) \(more)")
    }
}
