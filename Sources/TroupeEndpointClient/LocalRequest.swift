/// What processes of a site ask of their endpoint.
package enum LocalRequest: Hashable, Sendable, Codable {
    case status
    /// Sends a few bytes to a site and back.
    case test(site: String)
    /// What kind of NAT the endpoint is behind.
    case nat
    /// Bytes of an object at another site; at most ``LocalRequest/pieceSizeBytesMax`` of them. Whoever asks for the whole
    /// object, in order, says so with each part, and the endpoint then fetches it once for all who do.
    case object(site: String, store: String, key: String, from: Int, count: Int, isWhole: Bool)

    package static let pieceSizeBytesMax = 4 << 20
}

package enum LocalAnswer: Hashable, Sendable, Codable {
    case status(EndpointStatus)
    case nat(NATReport)
    case tested(roundTripMicroseconds: Int64, path: String)
    /// The size of the whole object, and the bytes.
    case object(sizeBytes: Int, bytes: [UInt8])
    case missing
    /// The bytes are not here yet; of the object, the endpoint has so many from its beginning on. Ask again.
    case pending(sizeBytesHere: Int)
    case failed(code: EndpointError.Code, message: String)
}
