/// How long a caller waits for a reply.
package enum RedisTimeout: Sendable {
    /// As long as the configuration says.
    case standard
    /// For ever: for commands that block on purpose, on a connection that somebody may close.
    case none
    case after(Duration)
}

/// One open connection. Commands of all callers share it: they are sent in the order of the calls, many in one write,
/// and their replies come in the same order. A blocking command (`BLPOP`, `XREAD BLOCK`) holds up all that follow it,
/// so give it a connection of its own.
///
/// Once lost or closed it stays so; `RedisSession` connects anew. It closes itself when nobody refers to it any more.
package final class RedisConnection: Sendable {
    package let configuration: RedisConfiguration
    private let channel: RedisChannel

    init(channel: RedisChannel, configuration: RedisConfiguration) {
        self.channel = channel
        self.configuration = configuration
    }

    deinit { close() }

    /// The server's address as text.
    package var address: String { channel.address }

    package var isOpen: Bool { channel.end == nil }

    /// Sends a command and waits for its reply; a reply that is an error is returned, not thrown.
    ///
    /// Runs on the caller's executor, and the command takes its place before this function first suspends. When the
    /// task is cancelled, throws `cancelled` at once; the command may still be executed and its reply is dropped.
    ///
    /// - Throws: `RedisError` with one of the codes `connectionLost`, `notConnected`, `timedOut`, `cancelled`,
    ///   `overloaded`, `tooLarge`, `notRedis`, `tlsFailed`.
    package func command(
        _ arguments: [RedisArgument], timeout: RedisTimeout = .standard,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(RedisError) -> RedisReply {
        try await submit(arguments, timeout: timeout).value(isolation: isolation)
    }

    /// Takes a command without waiting: several calls in a row keep their order.
    ///
    /// - Parameter isUrgent: sent without another thread, if that is faster; for a command that comes alone.
    package func submit(
        _ arguments: [RedisArgument], timeout: RedisTimeout = .standard, isUrgent: Bool = false
    ) -> RedisPending {
        let slot = OneShot<RedisReply>()
        channel.submit(arguments, timeout: duration(timeout), isUrgent: isUrgent, sink: .pending(slot))
        return RedisPending(slot: slot, name: arguments[0], address: channel.address)
    }

    /// Takes a command without waiting. `completion` is called once: on the loop, so it must not block, or before
    /// this function returns when the command is refused.
    package func submit(
        _ arguments: [RedisArgument], timeout: RedisTimeout = .standard,
        completion: @escaping @Sendable (Result<RedisReply, RedisError>) -> Void
    ) {
        channel.submit(arguments, timeout: duration(timeout), sink: .callback(completion))
    }

    /// Closes the connection. All that wait for replies get `connectionLost`, blocking commands included.
    package func close() {
        channel.close(.lost(channel.address, "this process closed it"))
    }

    private func duration(_ timeout: RedisTimeout) -> Duration? {
        switch timeout {
        case .standard: configuration.commandTimeout
        case .none: nil
        case .after(let duration): duration
        }
    }
}

/// The reply of a command that was submitted. At most one task may wait for it at a time.
package struct RedisPending: Sendable {
    let slot: OneShot<RedisReply>
    let name: RedisArgument
    let address: String

    /// Waits for the reply. Cancelling the task ends the wait at once with `cancelled`.
    package func value(
        isolation: isolated (any Actor)? = #isolation
    ) async throws(RedisError) -> RedisReply {
        let result = await slot.value(isolation: isolation, onCancel: { cancelled })
        return try result.get()
    }

    private var cancelled: RedisError {
        RedisError(.cancelled, address: address, "the wait for \(name.text) was cancelled; it may still be executed")
    }
}
