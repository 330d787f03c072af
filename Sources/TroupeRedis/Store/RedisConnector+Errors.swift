internal import TroupeStore

/// What is being done to which object, to be named when it fails.
struct RedisObjectTask: Sendable {
    let verb: String
    let key: String
    let redisKey: String
    /// The server's address as text.
    let server: String

    var text: String { "\(verb) object \(key)" }

    /// The reply, unless it is an error of the server.
    func check(_ reply: RedisReply) throws(StoreError) -> RedisReply {
        guard case .error(let text) = reply else { return reply }
        throw refusal(text)
    }

    func bytes(_ reply: RedisReply) throws(StoreError) -> [UInt8] {
        guard case .bytes(let bytes) = try check(reply) else { throw unexpected(reply) }
        return bytes
    }

    func bytesOrNil(_ reply: RedisReply) throws(StoreError) -> [UInt8]? {
        try check(reply).isNull ? nil : bytes(reply)
    }

    func integer(_ reply: RedisReply) throws(StoreError) -> Int {
        guard case .integer(let integer) = try check(reply) else { throw unexpected(reply) }
        return integer
    }

    /// What a failure of the connection means to the object.
    func failure(_ error: RedisError) -> StoreError {
        let code: StoreError.Code =
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
        let hint =
            error.code == .connectionLost
            ? "; if that happens each time, its log tells why, for large objects often its proto-max-bulk-len" : ""
        return StoreError(code, "could not \(text): \(error.description)\(hint)")
    }

    /// What the server's own error text means to the object.
    private func refusal(_ reason: String) -> StoreError {
        let said = "redis \(server) would not \(text)"
        switch reason.prefix(while: { $0 != " " }) {
        case "WRONGTYPE":
            return StoreError(
                .foreignData,
                "\(said): another program keeps a value of another type under '\(redisKey)' (\(reason)); it was left as "
                    + "it is: choose another ?prefix= for the store, or another key")
        case "OOM":
            return StoreError(
                .full,
                "\(said), since its memory is full (\(reason)): delete objects, let them expire, or raise its maxmemory"
            )
        case "NOAUTH", "WRONGPASS", "NOPERM":
            return StoreError(
                .unauthorized,
                "\(said): this user may not (\(reason)); check its password, and that its rules allow its keys "
                    + "and +set +get +getrange +strlen +exists +unlink +pexpire +persist")
        case "READONLY", "MISCONF", "LOADING", "MASTERDOWN", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "MOVED":
            return StoreError(.refused, "\(said): \(reason); name its primary in the URL, or mend it and try again")
        default:
            if reason.contains("bulk length") || reason.contains("maximum allowed size") {
                return StoreError(
                    .tooLarge, "\(said): it is too large for the server (\(reason)); raise its proto-max-bulk-len")
            }
            return StoreError(.refused, "\(said): \(reason); Redis 6 or later is needed")
        }
    }

    private func unexpected(_ reply: RedisReply) -> StoreError {
        let kind =
            switch reply {
            case .bytes: "bytes"
            case .status: "a status"
            case .integer: "a number"
            case .array: "an array"
            case .null: "nothing"
            case .error: "an error"
            }
        return StoreError(
            .foreignData,
            "redis \(server) answered with \(kind) when asked to \(text): what listens there is no Redis server of "
                + "version 6 or later")
    }
}
