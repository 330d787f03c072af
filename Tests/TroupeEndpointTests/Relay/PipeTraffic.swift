import NIOCore

@testable import TroupeEndpoint

/// What a test sends through a pipe: blocks that all differ, so that one lost, doubled or moved is seen.
struct PipeTraffic: Sendable {
    static let blockSizeBytes = 64 << 10

    let seed: UInt8
    let blockCount: Int

    private func block(_ number: Int) -> ByteBuffer {
        var buffer = ByteBuffer(repeating: seed, count: Self.blockSizeBytes)
        buffer.setInteger(UInt64(number), at: 0)
        return buffer
    }

    var first: ByteBuffer { block(0) }

    func send(to writer: NIOAsyncChannelOutboundWriter<ByteBuffer>) async throws {
        for number in 0..<blockCount { try await writer.write(block(number)) }
    }

    /// Sends all of it into one end of a pipe and receives it from the other.
    ///
    /// - Returns: the number of blocks that arrived as they should.
    func transfer(from channel: any Channel, to accepted: any Channel) async throws -> Int {
        try await withPipe(channel) { _, writer in
            async let received = withPipe(accepted) { stream, _ in try await receive(from: stream) }
            try await send(to: writer)
            // Closed only now: what the other side has not read yet is not lost by it, but this one's reading ends.
            return try await received
        }
    }

    /// Reads until all of it has come.
    ///
    /// - Parameter waitsForEnd: whether to wait for the other side to close, too.
    /// - Returns: the number of blocks that were right, one after the other.
    func receive(
        from stream: NIOAsyncChannelInboundStream<ByteBuffer>, waitsForEnd: Bool = false
    ) async throws -> Int {
        var rest = ByteBuffer()
        var number = 0
        for try await part in stream {
            rest.writeImmutableBuffer(part)
            while let found = rest.readSlice(length: Self.blockSizeBytes) {
                guard found == block(number) else { return number }
                number += 1
            }
            rest.discardReadBytes()
            if number == blockCount, !waitsForEnd { break }
        }
        return number
    }
}

/// The two directions of a pipe, as a test uses them.
func withPipe<Result: Sendable>(
    _ channel: any Channel,
    _ body: (NIOAsyncChannelInboundStream<ByteBuffer>, NIOAsyncChannelOutboundWriter<ByteBuffer>) async throws -> Result
) async throws -> Result {
    let wrapped = try await channel.eventLoop.submit {
        let wrapped = try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        try channel.syncOptions?.setOption(.autoRead, value: true)
        return wrapped
    }.get()
    return try await wrapped.executeThenClose { try await body($0, $1) }
}
