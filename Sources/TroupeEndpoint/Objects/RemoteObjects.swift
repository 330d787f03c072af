/// Reads objects of other sites.
enum RemoteObjects {
    /// - Returns: the bytes that were asked for, as far as the object has them; nil if there is no such object.
    static func read(
        _ request: ObjectRequest, from peer: Peer
    ) async throws(EndpointError) -> (sizeBytes: Int, bytes: [UInt8])? {
        let stream = try await peer.connection().openStream(for: .object)
        defer { stream.reset() }
        try await FrameStream(stream).write(request)
        var reader = FrameReader(stream)
        guard let reply = try await reader.next(ObjectReply.self) else {
            throw EndpointError(.unreachable, "site \(peer.trusted.site) closed the link")
        }
        switch reply {
        case .missing: return nil
        case .refused(let reason): throw EndpointError(.refused, reason)
        case .found(let size):
            var bytes = reader.rest()
            while let more = try await stream.read(atMost: 256 << 10) { bytes += more }
            let wanted = max(0, min(request.upTo ?? size, size) - request.from)
            guard bytes.count == wanted else {
                throw EndpointError(
                    .unreachable, "the link to site \(peer.trusted.site) broke in the middle of an object")
            }
            return (size, bytes)
        }
    }
}
