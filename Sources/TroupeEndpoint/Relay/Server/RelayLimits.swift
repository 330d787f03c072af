/// What a relay takes at most; every bound is an option of `troupe relay serve`.
package struct RelayLimits: Sendable, Hashable {
    package var connectionCountMax = 10_000
    package var connectionsOfAddressMax = 256
    /// Connections that have not logged in yet.
    package var unauthenticatedCountMax = 512
    /// From the connection to the login.
    package var loginTimeMax = Duration.seconds(10)
    /// A request's line and headers.
    package var headSizeBytesMax = 8 << 10
    /// A WebSocket frame's payload.
    package var frameSizeBytesMax = 64 << 10
    package var signalSizeBytesMax = 16 << 10
    package var signalsPerSecond = 50.0
    /// Endpoints that one endpoint watches.
    package var watchCountMax = 4096
    /// Pipes that one endpoint has asked for; as many again may be asked of it by others, fourfold.
    package var pipesPerEndpointMax = 16
    /// From the token to both ends being there.
    package var pipeClaimTimeMax = Duration.seconds(15)
    /// Both directions of a pipe together; nil for no bound.
    package var pipeBytesPerSecond: Double? = 33_554_432
    /// All pipes of a tenant together; nil for no bound.
    package var tenantBytesPerSecond: Double? = 134_217_728
    /// What waits to be written to one connection before its source is no longer read.
    package var bufferSizeBytesMax = 256 << 10
    /// What waits to be written to all connections before no pipe is read.
    package var memorySizeBytesMax = 256 << 20
    package var pingInterval = Duration.seconds(20)
    /// Silence after which a connection is dead.
    package var silenceMax = Duration.seconds(60)
    /// Whether pipes may be had at all.
    package var isForwarding = true

    package init() {}

    /// - Throws: `invalidArgument`, with the name of the bound, for one that nothing could work with.
    func check() throws(EndpointError) {
        let counts = [
            ("connections", connectionCountMax), ("connections of an address", connectionsOfAddressMax),
            ("unauthenticated connections", unauthenticatedCountMax), ("size of a head", headSizeBytesMax),
            ("size of a frame", frameSizeBytesMax), ("size of a signal", signalSizeBytesMax),
            ("watched endpoints", watchCountMax), ("pipes of an endpoint", pipesPerEndpointMax),
            ("buffer of a connection", bufferSizeBytesMax), ("memory", memorySizeBytesMax),
        ]
        for (name, value) in counts where value <= 0 {
            throw EndpointError(.invalidArgument, "the relay's bound of \(name) is \(value): it takes 1 or more")
        }
        let times = [
            ("time of a login", loginTimeMax), ("time to open a pipe", pipeClaimTimeMax),
            ("interval of pings", pingInterval), ("time of silence", silenceMax),
        ]
        for (name, value) in times where value <= .zero {
            throw EndpointError(.invalidArgument, "the relay's \(name) is \(value): it takes more than nothing")
        }
        guard pingInterval <= silenceMax else {
            throw EndpointError(
                .invalidArgument,
                "the relay's interval of pings (\(pingInterval)) is longer than its time of silence (\(silenceMax)), "
                    + "so that whoever has nothing to say would be put out")
        }
        for (name, value) in [
            ("signals a second", signalsPerSecond), ("bytes a second of a pipe", pipeBytesPerSecond ?? 1),
            ("bytes a second of a tenant", tenantBytesPerSecond ?? 1),
        ] where !(value > 0) {
            throw EndpointError(.invalidArgument, "the relay's bound of \(name) is \(value): it takes more than 0")
        }
        guard frameSizeBytesMax <= RelayDialler.frameSizeBytesMax else {
            throw EndpointError(
                .invalidArgument,
                "a relay's frames have \(RelayDialler.frameSizeBytesMax) bytes at most, since endpoints take no larger ones"
            )
        }
        guard signalSizeBytesMax + Self.messageOverheadBytes <= frameSizeBytesMax else {
            throw EndpointError(
                .invalidArgument,
                "a signal of \(signalSizeBytesMax) bytes does not fit into a frame of \(frameSizeBytesMax): let frames be larger by \(Self.messageOverheadBytes) bytes or more"
            )
        }
    }

    /// What a message needs beside its bytes; a login with the longest token fits as well.
    private static let messageOverheadBytes = 1 << 10
}
