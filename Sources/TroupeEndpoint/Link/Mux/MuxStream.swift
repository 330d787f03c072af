import NIOCore

/// One stream of a ``MuxConnection``.
///
/// A read or write whose task is cancelled throws an ``EndpointError`` of the code `closed`; it has then taken or written
/// nothing, so the stream can still be used. Whoever lets go of a stream that he has not finished resets it; one that he
/// has finished still sends what was written, and what comes for it is dropped.
package final class MuxStream: PeerStream {
    package let urgency: StreamUrgency
    let id: UInt32
    private let connection: MuxConnection

    init(_ id: UInt32, _ urgency: StreamUrgency, of connection: MuxConnection) {
        self.id = id
        self.urgency = urgency
        self.connection = connection
    }

    deinit { connection.change { $0.machine.release(id) } }

    /// Sends bytes. Comes back when they are taken, which is at once as long as less than
    /// ``MuxOptions/sendBufferBytes`` wait to go.
    package func write(_ bytes: [UInt8]) async throws(EndpointError) {
        while true {
            try checkCancellation()
            switch connection.change({ $0.machine.write(bytes, on: id) }) {
            case .taken: return
            case .failed(let error): throw error
            case .full: await connection.wait(for: .writing(id)) { [id] in $0.machine.isWriteWaiting(id) }
            }
        }
    }

    package func finish() async throws(EndpointError) {
        try connection.change { state throws(EndpointError) in try state.machine.finish(id) }
    }

    package func read(atMost countMax: Int) async throws(EndpointError) -> [UInt8]? {
        precondition(countMax > 0, "a read of nothing would look like an empty stream")
        while true {
            try checkCancellation()
            switch connection.change({ $0.machine.read(id, atMost: countMax, now: .now()) }) {
            case .bytes(let bytes): return bytes
            case .end: return nil
            case .failed(let error): throw error
            case .empty: await connection.wait(for: .reading(id)) { [id] in $0.machine.isReadWaiting(id) }
            }
        }
    }

    package func reset() { connection.change { $0.machine.reset(id) } }

    private func checkCancellation() throws(EndpointError) {
        if Task.isCancelled {
            throw EndpointError(.closed, "the task that used the stream was cancelled")
        }
    }
}
