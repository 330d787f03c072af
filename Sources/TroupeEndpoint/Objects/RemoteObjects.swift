/// An object of another site.
struct ObjectPlace: Hashable, Sendable, Codable, CustomStringConvertible {
    var site: String
    var store: String
    var key: String

    var description: String { "\(site)/\(store)/\(key)" }
}

/// Reads objects of other sites.
enum RemoteObjects {
    /// - Returns: the bytes that were asked for, as far as the object has them; nil if there is no such object.
    static func read(
        _ request: ObjectRequest, from peer: Peer
    ) async throws(EndpointError) -> (sizeBytes: Int, bytes: [UInt8])? {
        var bytes: [UInt8] = []
        let size = try await receive(request, from: peer, onFound: { _ throws(EndpointError) in }) {
            (piece) throws(EndpointError) in bytes += piece
        }
        return size.map { ($0, bytes) }
    }

    /// Hands over the pieces that were asked for, one after the other.
    ///
    /// - Parameter onFound: gets the size of the whole object before its first piece.
    /// - Returns: that size; nil if there is no such object.
    static func receive(
        _ request: ObjectRequest, from peer: Peer, onFound: (Int) throws(EndpointError) -> Void,
        onPiece: ([UInt8]) throws(EndpointError) -> Void
    ) async throws(EndpointError) -> Int? {
        let site = peer.trusted.site
        let stream = try await peer.connection().openStream(for: .object)
        defer { stream.reset() }
        try await FrameStream(stream).write(request)
        var reader = FrameReader(stream, sizeBytesMax: FrameReader.smallSizeBytesMax)
        guard let reply = try await reader.next(ObjectReply.self) else {
            throw EndpointError(.unreachable, "site \(site) closed the link")
        }
        switch reply {
        case .missing: return nil
        case .refused(let reason): throw EndpointError(.refused, reason)
        case .found(let size):
            guard size >= 0 else {
                throw EndpointError(.protocolViolation, "site \(site) has an object of \(size) bytes")
            }
            try onFound(size)
            let count = max(0, min(request.upTo ?? size, size) - request.from)
            let name = "\(site)/\(request.store)/\(request.key)"
            var pieces = PieceReader(stream, buffer: reader.rest(), count: count, name: name)
            while let piece = try await pieces.next() { try onPiece(piece) }
            return size
        }
    }
}
