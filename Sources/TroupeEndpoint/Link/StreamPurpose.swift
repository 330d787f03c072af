/// What a stream between endpoints is for: its first byte.
enum StreamPurpose: UInt8, Sendable, Hashable {
    /// ``MailFrame``s: the opener sends parcels.
    case mail = 1
    /// The opener reads an object.
    case object = 2
    /// What the opener writes comes back, up to 64 KiB: a test of the link.
    case echo = 3
    /// The opener says which objects of the other side it refers to: ``KeepRequest``s.
    case keep = 4
}

extension PeerConnection {
    /// Opens a stream and says what for.
    func openStream(for purpose: StreamPurpose) async throws(EndpointError) -> any PeerStream {
        let stream = try await openStream(purpose == .object ? .bulk : .urgent)
        try await stream.write([purpose.rawValue])
        return stream
    }
}
