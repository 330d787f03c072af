/// The bounds of a QUIC connection. The defaults carry 1 Gbit/s over a round trip of 20 ms (2.5 MB under way) many times
/// over, and hold at most `streamsMax · streamWindowSizeBytes + windowGrowthSizeBytesMax` bytes that nobody reads.
package struct QUICOptions: Sendable {
    /// Streams the other side may have open at a time.
    package var streamsMax = 1_024
    package var handshakeLimit = Duration.seconds(10)
    /// A connection on which nothing was heard for so long is over.
    package var idleLimit = Duration.seconds(30)
    /// After such a silence something is sent. A side that only receives must do so when its NAT has lost the mapping, for
    /// nothing comes in by then; ICE's own checks would come so late that the other side might have given up.
    package var keepAlive = Duration.seconds(2)
    /// Bytes of a stream that were written and not yet acknowledged; a writer waits when there are more.
    package var streamBufferSizeBytesMax = 8 << 20
    /// The same of all streams together; each stream may have 64 KiB nevertheless.
    package var connectionBufferSizeBytesMax = 64 << 20
    /// Bytes of a stream that the other side may send before they are read.
    package var streamWindowSizeBytes = 256 << 10
    /// The same once its reader has proved that it keeps up.
    package var streamWindowSizeBytesMax = 8 << 20
    /// How much all windows together grow beyond their beginnings.
    package var windowGrowthSizeBytesMax = 64 << 20

    package init() {}
}
