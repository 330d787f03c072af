internal import TroupeCore

extension ExchangeError {
    /// What a failure of the connection means to those who use the exchange.
    init(_ error: RedisError) {
        let code: Code =
            switch error.code {
            case .invalidConfiguration: .invalidArgument
            case .authenticationFailed: .unauthorized
            case .unreachable, .serverNotReady, .timedOut, .connectionLost, .notConnected, .tlsFailed: .unreachable
            case .databaseRefused, .overloaded, .server: .refused
            case .notRedis: .foreignData
            case .tooLarge: .tooLarge
            case .cancelled: .cancelled
            default: .internalError
            }
        self.init(code, error.description)
    }

    /// What the server's own error text means.
    static func refusal(_ text: String, of operation: String, at address: String) -> ExchangeError {
        let word = text.prefix { $0 != " " }
        switch word {
        case "NOAUTH", "WRONGPASS", "NOPERM":
            return ExchangeError(
                .unauthorized,
                "redis \(address): '\(operation)' is not allowed to this user: \(text); check its password "
                    + "and access rules (it needs ~PREFIX:* keys and the commands FCALL, FUNCTION and of streams)")
        case "OOM":
            return ExchangeError(
                .refused,
                "redis \(address): '\(operation)' was refused since the server's memory is full: \(text); raise "
                    + "its maxmemory, or let workers empty the mailboxes")
        case "READONLY", "MISCONF", "LOADING", "MASTERDOWN", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "MOVED":
            return ExchangeError(.refused, "redis \(address): '\(operation)' was refused: \(text)")
        default:
            if text.contains("WRONGTYPE") {
                return ExchangeError(
                    .foreignData,
                    "redis \(address): '\(operation)' met a key of another program's: \(text); choose another "
                        + "?prefix=")
            }
            return ExchangeError(
                .internalError,
                "redis \(address): '\(operation)' failed on the server: \(text); this is a defect of troupe, "
                    + "or another program changed our keys")
        }
    }

    /// The finding of a script that was run again to name the key which it stumbled on.
    static func foreignKey(_ explanation: String, of operation: String, at address: String) -> ExchangeError {
        guard let start = explanation.range(ofFirst: "EXPLAINED ") else {
            return refusal(explanation, of: operation, at: address)
        }
        let words = explanation[start...].split(separator: " ", maxSplits: 2)
        let key = words.count > 2 ? words[1] : "?"
        return ExchangeError(
            .foreignData,
            "redis \(address): the key '\(key)' is not ours, though it begins with our prefix ('\(operation)' "
                + "found another type of value there); it was left as it is: choose another ?prefix=")
    }
}

extension String {
    /// Where the text after the first occurrence of `needle` begins.
    fileprivate func range(ofFirst needle: String) -> Index? { firstRange(of: needle)?.upperBound }
}
