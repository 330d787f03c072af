import Logging
import NIOCore
import Synchronization
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// What is logged, for tests that wait for a reason to be given.
final class LinkLog: Sendable {
    let logger: Logger
    private let lines: AsyncStream<String>

    init() {
        let (lines, continuation) = AsyncStream.makeStream(of: String.self)
        self.lines = lines
        logger = LineLog.logger("link") { continuation.yield($0) }
    }

    /// Waits for a line with these words.
    func line(with words: String) async -> String? {
        for await line in lines where line.contains(words) { return line }
        return nil
    }

    /// The lines that came before one with these words.
    func lines(before words: String) async -> [String] {
        var found: [String] = []
        for await line in lines {
            if line.contains(words) { break }
            found.append(line)
        }
        return found
    }

    func count(before words: String) async -> Int { await lines(before: words).count }
}

/// An endpoint that listens, and one that dials it.
final class LinkFixture: Sendable {
    let serverKey = EndpointKey()
    let clientKey = EndpointKey()
    let listener: DirectListener
    let log: LinkLog
    private let connections: AsyncStream<MuxConnection>

    /// - Parameter trusts: whom the listener lets in; the fixture's client if nothing is said.
    init(
        _ options: DirectListener.Options = DirectListener.Options(), host: String = "127.0.0.1",
        trusts: (@Sendable (EndpointID) -> Bool)? = nil
    ) async throws {
        let (connections, continuation) = AsyncStream.makeStream(of: MuxConnection.self)
        self.connections = connections
        let log = LinkLog()
        self.log = log
        let client = clientKey.id
        listener = try await DirectListener.bind(
            to: [HostPort(host, 0)], credentials: LinkCredentials(serverKey), options: options, logger: log.logger,
            accepts: trusts ?? { $0 == client }, onConnection: { continuation.yield($0) })
    }

    var address: HostPort { listener.addresses[0] }

    /// The next connection that the listener hands on.
    func accepted() async throws -> MuxConnection {
        for await connection in connections { return connection }
        throw CancellationError()
    }

    func dial(
        _ options: MuxOptions = MuxOptions(), at address: HostPort? = nil, key: EndpointKey? = nil
    ) async throws -> MuxConnection {
        var all = DirectDialler.Options()
        all.mux = options
        return try await DirectDialler.connect(
            to: [address ?? self.address], expecting: serverKey.id, key: key ?? clientKey, options: all,
            logger: LinkLog().logger)
    }

    /// Both sides of a new connection.
    func pair(
        _ options: MuxOptions = MuxOptions(), at address: HostPort? = nil
    ) async throws -> (client: MuxConnection, server: MuxConnection) {
        let client = try await dial(options, at: address)
        return (client, try await accepted())
    }
}

extension PeerStream {
    /// So many bytes, fewer if the stream ends before.
    func readAll(upTo countMax: Int = .max) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < countMax, let more = try await read(atMost: min(countMax - bytes.count, 1 << 20)) {
            bytes += more
        }
        return bytes
    }
}

extension MuxConnection {
    /// Sends back whatever comes, on every stream, until the connection is over.
    func echo() async {
        await withDiscardingTaskGroup { group in
            while let stream = await nextStream() {
                group.addTask {
                    // A stream that fails is the affair of its other side, which checks what it gets back.
                    try? await stream.echo()
                }
            }
        }
    }

    /// Bytes there and back on a stream of their own.
    func roundTrip(_ bytes: [UInt8], _ urgency: StreamUrgency = .urgent) async throws -> [UInt8] {
        let stream = try await openStream(urgency)
        try await stream.write(bytes)
        try await stream.finish()
        return try await stream.readAll()
    }
}

extension PeerStream {
    func echo() async throws {
        while let bytes = try await read(atMost: 1 << 16) { try await write(bytes) }
        try await finish()
    }
}

func expectLinkError(
    _ code: EndpointError.Code, _ words: String = "", sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async {
    let error = await #expect(throws: EndpointError.self, sourceLocation: sourceLocation) { try await body() }
    #expect(error?.code == code, "\(error?.message ?? "")", sourceLocation: sourceLocation)
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")", sourceLocation: sourceLocation)
}
