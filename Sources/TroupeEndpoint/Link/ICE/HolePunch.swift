/// The channel through which two endpoints find each other: a relay, or whatever else passes bytes on.
package struct Signalling: Sendable {
    /// Sends to the peer. What cannot be sent is lost; it is said again.
    package var send: @Sendable ([UInt8]) async -> Void
    /// What the peer sends. One attempt consumes it: it is at its end afterwards.
    package var incoming: AsyncStream<[UInt8]>

    package init(send: @escaping @Sendable ([UInt8]) async -> Void, incoming: AsyncStream<[UInt8]>) {
        self.send = send
        self.incoming = incoming
    }
}

/// Makes connections through NATs.
package enum HolePunch {
    /// Finds a path to the peer, and proves both keys on it. The peer must call this too, within the time limit: an endpoint
    /// that hears from one with which it has no connection answers by doing so.
    ///
    /// - Parameter onStray: told, for as long as the connection lives, from where a datagram came that is neither STUN nor the
    ///   peer's. It is called on the thread of all connections, so it must not wait.
    /// - Throws: `refused` when one of the two keys is not the expected one, `timedOut` when the peer is not heard,
    ///   `unreachable`, with the reason, when there is no path; `closed` when cancelled.
    package static func connect(
        to peer: EndpointID, key: EndpointKey, configuration: ICEConfiguration, signalling: Signalling,
        onStray: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws(EndpointError) -> QUICConnection {
        let servers = try await ICEServers.resolve(configuration)
        let attempt = try PunchAttempt(
            peer: peer, key: key, servers: servers, configuration: configuration, signalling: signalling,
            onStray: onStray)
        return try await attempt.run()
    }
}
