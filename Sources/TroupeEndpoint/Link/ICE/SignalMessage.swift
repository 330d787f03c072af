import CBOR

/// What two endpoints tell each other, through any channel, to find a path. Each message holds all that its sender knows, so
/// one that is lost, doubled or late does no harm.
struct SignalMessage: Sendable, Hashable, Codable {
    enum Kind: String, Sendable, Hashable, Codable {
        /// The answering side asks for an offer.
        case ask
        case offer
        case answer
    }

    var version = Self.version
    var kind: Kind
    /// Chosen by the offering side; an answer repeats it. 0 in an `ask`.
    var attempt: UInt64
    /// Which run of the answering side this is; 0 in an `offer`.
    var run: UInt64
    var credentials: ICECredentials?
    var candidates: [String] = []
    /// There will be no more candidates.
    var isComplete = false

    static let version = Int(MuxPreface.version)
    static let sizeBytesMax = 16 << 10
    static let candidatesMax = 32
    static let candidateSizeBytesMax = 256
    private static let credentialSizeBytesMax = 256
    private static let signatureSizeBytes = 64

    /// Signs it for its receiver: without that, who passes it on could have us send datagrams to anybody.
    func sealed(by key: EndpointKey, for receiver: EndpointID) throws(EndpointError) -> [UInt8] {
        let body: [UInt8]
        do {
            body = try CBOREncoder().encode(self)
        } catch {
            preconditionFailure("a signalling message can be encoded: \(error)")
        }
        return try key.sign(receiver.publicKey + body, for: .signalling) + body
    }

    /// Reads one of `sender`'s to `receiver`, of whichever version.
    static func open(
        _ bytes: [UInt8], from sender: EndpointID, to receiver: EndpointID
    ) throws(EndpointError) -> SignalMessage {
        guard bytes.count > signatureSizeBytes, bytes.count <= sizeBytesMax else {
            throw EndpointError(
                .protocolViolation,
                "a signalling message of \(bytes.count) bytes, where it has at most \(sizeBytesMax)")
        }
        let body = Array(bytes.dropFirst(signatureSizeBytes))
        guard
            sender.verifies(Array(bytes.prefix(signatureSizeBytes)), of: receiver.publicKey + body, for: .signalling)
        else {
            throw EndpointError(.refused, "a signalling message is not signed by \(sender.short)")
        }
        let limits = CBORLimits(depthMax: 4, sizeBytesMax: sizeBytesMax, itemCountMax: 256)
        let message: SignalMessage
        do {
            message = try CBORDecoder(limits: limits).decode(from: body)
        } catch {
            throw EndpointError(.protocolViolation, "a signalling message of \(sender.short) cannot be read: \(error)")
        }
        guard message.isSane else {
            throw EndpointError(.protocolViolation, "a signalling message of \(sender.short) is over a bound")
        }
        return message
    }

    /// That its sender speaks another version than this side; nil if not.
    func otherVersion(of sender: EndpointID) -> EndpointError? {
        guard version != Self.version else { return nil }
        return EndpointError(
            .protocolViolation,
            "endpoint \(sender.short) speaks version \(version) of the link's protocol, and this side speaks "
                + "\(Self.version): update the older one")
    }

    private var isSane: Bool {
        let isBounded =
            candidates.count <= Self.candidatesMax
            && candidates.allSatisfy { $0.utf8.count <= Self.candidateSizeBytesMax }
        let texts = [credentials?.user ?? "", credentials?.password ?? ""]
        let isShort = texts.allSatisfy { $0.utf8.count <= Self.credentialSizeBytesMax }
        return isBounded && isShort && (kind == .ask) == (credentials == nil)
    }
}
