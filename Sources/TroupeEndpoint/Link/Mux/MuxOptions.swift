package import NIOCore

/// The bounds of a multiplexed connection. Each side announces its own windows and its number of streams.
package struct MuxOptions: Sendable {
    /// What the other side may send on an urgent stream before this side has read it.
    package var urgentWindowBytes = 256 << 10
    /// The same on a bulk stream, at first.
    package var bulkWindowBytes = 1 << 20
    /// How far a bulk stream's window grows while its reader keeps up and the path is long: 16 MiB fill 6 Gbit/s at 20 ms.
    package var bulkWindowMaxBytes = 16 << 20
    /// Streams that the other side may have open; more are reset.
    package var streamsMax = 1024
    /// Bytes of all streams that wait for their readers. A stream that would exceed them is reset, and no window grows
    /// beyond what they allow for.
    package var receivedBytesMax = 256 << 20
    /// Bytes that a stream takes from its writers ahead of the wire; a write that finds as many waits until half has gone.
    package var sendBufferBytes = 512 << 10
    /// The largest piece of a stream that goes at once. With its head it fills one TLS record.
    package var chunkBytes = (16 << 10) - MuxFrameHead.sizeBytes
    /// What is encrypted and given to the channel at once; an envelope waits behind that much at most, and behind what the
    /// channel itself holds.
    package var batchBytes = 32 << 10
    /// Resets and other small frames that may wait because the other side does not read; more end the connection.
    package var controlFramesMax = 4096
    /// After how long a connection that was used asks the other side whether it is there.
    package var pingInterval = TimeAmount.seconds(5)
    /// How long the other side may be silent after such a question.
    package var silenceMax = TimeAmount.seconds(15)
    /// What TLS and the first words of the multiplexer may take together.
    package var handshakeTimeMax = TimeAmount.seconds(10)

    /// What is spoken; another one than this build's is for tests.
    var version = MuxPreface.version

    package init() {}

    /// The window that this side opens to the other one on a new stream.
    func window(_ urgency: StreamUrgency) -> Int {
        switch urgency {
        case .urgent: urgentWindowBytes
        case .bulk: bulkWindowBytes
        }
    }

    func windowMax(_ urgency: StreamUrgency) -> Int {
        switch urgency {
        case .urgent: urgentWindowBytes
        case .bulk: max(bulkWindowBytes, bulkWindowMaxBytes)
        }
    }
}
