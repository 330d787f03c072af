/// A connection over a path that ICE found, through NATs or a TURN server: QUIC, with both sides proven by their keys.
///
/// It ends when it is closed, or when nobody holds it or a stream of it any more.
package final class QUICConnection: PeerConnection {
    package let peer: EndpointID
    let driver: PathDriver

    /// Takes over a driver whose handshake is done.
    init(_ driver: PathDriver) {
        self.driver = driver
        peer = driver.peer
    }

    deinit {
        // A task, since the driver's thread is another one and nobody waits for it.
        Task { [driver] in await driver.close(EndpointError(.closed, "closed by this side")) }
    }

    package var path: PeerPath { driver.facts.path }

    package var roundTrip: Duration? { driver.facts.roundTrip }

    /// Why it is over; nil while it is not.
    package var ending: EndpointError? { get async { await driver.ending } }

    package func openStream(_ urgency: StreamUrgency) async throws(EndpointError) -> any PeerStream {
        QUICStream(try await driver.open(urgency), urgency, of: self)
    }

    package func nextStream() async -> (any PeerStream)? {
        guard let (id, urgency) = await driver.accept() else { return nil }
        return QUICStream(id, urgency, of: self)
    }

    package func close() async { await driver.close(EndpointError(.closed, "closed by this side")) }
}
