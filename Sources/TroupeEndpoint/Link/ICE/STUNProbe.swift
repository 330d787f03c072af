import NIOCore
import NIOPosix
import Synchronization

/// Asks STUN servers under which address they see one and the same socket.
enum STUNProbe {
    /// After these waits what was not answered is asked again; the last is the end.
    private static let waits: [Duration] = [.milliseconds(300), .milliseconds(600), .milliseconds(1_200)]
    private static let serversMax = 4

    struct Result: Sendable, Hashable {
        /// The port that was asked from.
        var localPort: UInt16
        /// By server, in their order; nil of one that did not answer.
        var mapped: [NumericAddress?]
    }

    static func run(_ servers: [SocketAddress]) async throws(EndpointError) -> Result {
        let servers = servers.prefix(serversMax)
        do {
            let channel = try await DatagramBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .bind(host: "0.0.0.0", port: 0) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>>(
                            wrappingChannelSynchronously: channel)
                    }
                }
            let port = UInt16(channel.channel.localAddress?.port ?? 0)
            let asked = Asked(Array(servers))
            try await channel.executeThenClose { inbound, outbound in
                try await withThrowingTaskGroup { group in
                    group.addTask {
                        for try await envelope in inbound where asked.take(envelope) { return }
                    }
                    group.addTask {
                        for wait in waits {
                            for request in asked.requests() { try await outbound.write(request) }
                            try await Task.sleep(for: wait)
                        }
                    }
                    // All answers, or the end of patience.
                    try await group.next()
                    group.cancelAll()
                }
            }
            return Result(localPort: port, mapped: asked.answers)
        } catch let error as EndpointError {
            throw error
        } catch {
            throw EndpointError(.unreachable, "no UDP socket can be used on this machine: \(error)")
        }
    }
}

/// The requests of a probe and what came back.
private final class Asked: Sendable {
    private let servers: [(address: SocketAddress, transaction: [UInt8])]
    private let state: Mutex<[NumericAddress?]>

    init(_ servers: [SocketAddress]) {
        self.servers = servers.map { address in
            (address, (0..<STUNMessage.transactionSizeBytes).map { _ in UInt8.random(in: .min ... .max) })
        }
        state = Mutex(Array(repeating: nil, count: servers.count))
    }

    var answers: [NumericAddress?] { state.withLock { $0 } }

    func requests() -> [AddressedEnvelope<ByteBuffer>] {
        zip(servers, answers).filter { $0.1 == nil }.map { server, _ in
            AddressedEnvelope(
                remoteAddress: server.address, data: ByteBuffer(bytes: STUNMessage.request(server.transaction)))
        }
    }

    /// Whether all have answered now.
    func take(_ envelope: AddressedEnvelope<ByteBuffer>) -> Bool {
        let bytes = Array(envelope.data.readableBytesView.prefix(1_500))
        return state.withLock { answers in
            for (index, server) in servers.enumerated() where answers[index] == nil {
                answers[index] = STUNMessage.mappedAddress(in: bytes, to: server.transaction)
            }
            return answers.allSatisfy { $0 != nil }
        }
    }
}
