public import ArgumentParser
import FoundationEssentials

/// Which exchange a program joins: `--exchange`, or TROUPE_EXCHANGE, or the embedded one.
public struct ExchangeOptions: ParsableArguments {
    @Option(help: "The exchange to join. TROUPE_EXCHANGE is used when this is not given, else embedded:.")
    public var exchange: String?

    public init() {}

    /// The URL that was chosen.
    public var url: String {
        let environment = ProcessInfo.processInfo.environment["TROUPE_EXCHANGE"]
        return exchange ?? environment.flatMap { $0.isEmpty ? nil : $0 } ?? "embedded:"
    }
}
