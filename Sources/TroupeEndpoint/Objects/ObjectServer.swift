import CBOR
import Logging
import Synchronization
import TroupeStore

/// What a site asks for: bytes of an object in one of this site's stores.
struct ObjectRequest: Hashable, Sendable, Codable {
    var store: String
    var key: String
    /// The bytes from here on…
    var from: Int
    /// …up to there; nil is the end.
    var upTo: Int?
}

/// What stands before the bytes.
enum ObjectReply: Hashable, Sendable, Codable {
    /// The size of the whole object; the bytes that were asked for follow, in pieces (``ObjectPiece``).
    case found(sizeBytes: Int)
    case missing
    case refused(String)
}

/// Serves objects of this site's stores to other sites.
final class ObjectServer: Sendable {
    private let stores: StoreRegistry
    private let logger: Logger

    private let served = Atomic<Int>(0)

    /// Bytes that were sent since the start.
    var servedBytes: Int { served.load(ordering: .relaxed) }

    init(stores: StoreRegistry, logger: Logger) {
        self.stores = stores
        self.logger = logger
    }

    func serve(_ stream: any PeerStream, to peer: TrustedPeer) async throws(EndpointError) {
        var reader = FrameReader(stream, sizeBytesMax: FrameReader.smallSizeBytesMax)
        guard let request = try await reader.next(ObjectRequest.self) else { return stream.reset() }
        let frames = FrameStream(stream)
        do {
            guard peer.policy.permits(store: request.store), let store = stores.store(named: request.store) else {
                logger.notice("an object was refused", metadata: ["store": "\(request.store)"])
                try await frames.write(
                    ObjectReply.refused("this site has no store '\(request.store)' for site \(peer.site)"))
                return try await stream.finish()
            }
            guard let size = try await store.connector.sizeBytes(request.key) else {
                try await frames.write(ObjectReply.missing)
                return try await stream.finish()
            }
            guard request.from >= 0 else { throw EndpointError(.protocolViolation, "an object has no bytes before 0") }
            try await frames.write(ObjectReply.found(sizeBytes: size))
            var offset = min(request.from, size)
            let end = min(request.upTo ?? size, size)
            while offset < end {
                let piece = offset..<min(offset + ObjectPiece.sizeBytes, end)
                guard let bytes = try await store.connector.get(request.key, range: piece), bytes.count == piece.count
                else {
                    throw EndpointError(.unreachable, "object \(request.store)/\(request.key) went while it was read")
                }
                try await stream.write(ObjectPiece.sealed(bytes))
                served.wrappingAdd(bytes.count, ordering: .relaxed)
                offset = piece.upperBound
            }
            try await stream.finish()
        } catch let error as EndpointError {
            throw error
        } catch {
            throw EndpointError(.unreachable, "object \(request.store)/\(request.key) cannot be read: \(error)")
        }
    }
}
