package import Logging
package import NIOCore
import TroupeBroker

/// What a connection is to be, before it is one.
struct LinkSetup: Sendable {
    var role: LinkRole
    var path: PeerPath
    var options: MuxOptions
    var logger: Logger
    /// Shared by the connections of a listener.
    var refusals: RefusalLog
    /// Learns why none came about with an endpoint that has shown who it is.
    var onFailure: @Sendable (EndpointID, EndpointError) -> Void = { _, _ in }
}

extension MuxConnection {
    /// Makes a connection of a channel that carries bytes to another endpoint: TLS in both directions' names, then the
    /// multiplexer. Takes the channel over: if no connection comes about, the channel is closed.
    ///
    /// The channel's own handlers, if any, deliver and take `ByteBuffer`s. No byte may have been read from it before: a
    /// server gives it from its initializer by ``begin(on:_:credentials:)``, or with `autoRead` off,
    /// which is put on here.
    ///
    /// - Throws: `refused` if the other side is another endpoint or not trusted, or does not trust this one; `timedOut`
    ///   after ``MuxOptions/handshakeTimeMax``; `protocolViolation` if it speaks something else; `unreachable` if it hangs
    ///   up; `closed` if the task is cancelled. The reason is logged too.
    package static func establish(
        on channel: any Channel, as role: LinkRole, credentials: LinkCredentials, path: PeerPath,
        options: MuxOptions = MuxOptions(), logger: Logger
    ) async throws(EndpointError) -> MuxConnection {
        let setup = LinkSetup(
            role: role, path: path, options: options, logger: logger, refusals: RefusalLog(logger, role))
        let begun = channel.eventLoop.flatSubmit { begin(on: channel, setup, credentials: credentials) }
        do {
            return try await withTaskCancellationHandler {
                try await begun.get()
            } onCancel: {
                channel.close(promise: nil)
            }
        } catch {
            guard !Task.isCancelled else {
                throw EndpointError(.closed, "the task that wanted the connection was cancelled")
            }
            throw LinkFailure.error(error, of: "the other side", isEstablished: false)
        }
    }

    /// The same for a single connection; a caller with many makes the credentials once.
    package static func establish(
        on channel: any Channel, as role: LinkRole, key: EndpointKey, path: PeerPath,
        options: MuxOptions = MuxOptions(), logger: Logger
    ) async throws(EndpointError) -> MuxConnection {
        try await establish(
            on: channel, as: role, credentials: LinkCredentials(key), path: path, options: options, logger: logger)
    }

    /// The same, on the channel's event loop: the handlers are in place when this returns, so a channel that begins to
    /// read then loses nothing.
    static func begin(
        on channel: any Channel, _ setup: LinkSetup, credentials: LinkCredentials
    ) -> EventLoopFuture<MuxConnection> {
        let promise = channel.eventLoop.makePromise(of: MuxConnection.self)
        do {
            let verifier = PeerVerifier(setup.role)
            let mux = MuxHandler(setup, verifier, promise)
            try channel.pipeline.syncOperations.addHandler(mux)
            // The TLS handler may speak as soon as it is there, and somebody must be listening.
            try channel.pipeline.syncOperations.addHandler(verifier.makeHandler(credentials), position: .before(mux))
            channel.setOption(.autoRead, value: true).whenFailure { _ in
                // A channel that has no such option reads by itself.
            }
        } catch {
            promise.fail(EndpointError(.unreachable, "the channel is closed already: \(error)"))
            channel.close(promise: nil)
        }
        return promise.futureResult
    }
}
