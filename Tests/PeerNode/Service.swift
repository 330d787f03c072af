import Crypto
import TroupeEndpoint

/// What the serving side does with a stream, by its first byte.
enum Service: UInt8 {
    /// Sends back what it gets.
    case echo = 0
    /// Answers with the count and the SHA-256 of what it got.
    case digest = 1
    /// Answers with the count.
    case count = 2

    static let readMax = 1 << 18

    static func run(_ connection: any PeerConnection) async {
        await withDiscardingTaskGroup { group in
            while let stream = await connection.nextStream() {
                group.addTask {
                    // A stream that fails ends; the other side sees that.
                    do { try await serve(stream) } catch { stream.reset() }
                }
            }
        }
    }

    private static func serve(_ stream: any PeerStream) async throws(EndpointError) {
        guard let first = try await stream.read(atMost: 1), let service = Service(rawValue: first[0]) else {
            throw EndpointError(.protocolViolation, "no such service")
        }
        var count: UInt64 = 0
        var hash = SHA256()
        while let bytes = try await stream.read(atMost: readMax) {
            count += UInt64(bytes.count)
            switch service {
            case .echo: try await stream.write(bytes)
            case .digest: hash.update(data: bytes)
            case .count: break
            }
        }
        switch service {
        case .echo: break
        case .digest: try await stream.write(bigEndian(count) + Array(hash.finalize()))
        case .count: try await stream.write(bigEndian(count))
        }
        try await stream.finish()
    }
}

func bigEndian(_ number: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }

extension PeerStream {
    /// Everything until the other side's end.
    func readAll() async throws(EndpointError) -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = try await read(atMost: 1 << 18) { all += bytes }
        return all
    }
}
