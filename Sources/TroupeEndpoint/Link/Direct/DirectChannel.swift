import NIOCore

/// How the sockets of direct connections are set up.
enum DirectChannel {
    /// Linux's `TCP_NOTSENT_LOWAT`, for which NIO has no name.
    private static let notSentLowAtOption = NIOBSDSocket.Option(rawValue: 25)

    /// What the kernel takes beyond what the path takes. An envelope cannot overtake what is there already, so it is
    /// little: with a batch of the multiplexer some 2 ms at 200 Mbit/s. What is on its way does not count, so it is enough.
    static let notSentMaxBytes = 32 << 10
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 8 << 10, high: 16 << 10)

    /// Sets a connected socket up, on its event loop. What a kind of socket does not know it does without.
    static func configure(_ channel: any Channel) {
        guard let options = channel.syncOptions else { return }
        try? options.setOption(.writeBufferWaterMark, value: waterMark)
        try? options.setOption(.tcpOption(.tcp_nodelay), value: 1)
        try? options.setOption(.socketOption(.so_keepalive), value: 1)
        #if os(Linux)
            try? options.setOption(.tcpOption(notSentLowAtOption), value: notSentMaxBytes)
        #endif
    }

    static func path(of channel: any Channel) -> PeerPath {
        let local = HostPort(channel.localAddress)?.description ?? "unknown"
        let remote = HostPort(channel.remoteAddress)?.description ?? "unknown"
        return PeerPath(.directTLS, "\(local) to \(remote)")
    }
}
