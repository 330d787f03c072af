/// What a connection to a relay is for.
enum RelayRoute: Sendable, Hashable {
    case presence
    case pipe(PipeToken)

    private static let presencePath = "/v1/presence"
    private static let pipePrefix = "/v1/pipe/"

    init?(path: String) {
        if path == Self.presencePath {
            self = .presence
        } else if path.hasPrefix(Self.pipePrefix), let token = PipeToken(path.dropFirst(Self.pipePrefix.count)) {
            self = .pipe(token)
        } else {
            return nil
        }
    }

    var path: String {
        switch self {
        case .presence: Self.presencePath
        case .pipe(let token): Self.pipePrefix + token.text
        }
    }
}

/// Names a pipe for the two who are to open it: 128 random bits as 32 hexadecimal digits.
struct PipeToken: Sendable, Hashable, Codable {
    let text: String

    private static let textCount = 32

    init?(_ text: some StringProtocol) {
        guard text.utf8.count == Self.textCount,
            text.utf8.allSatisfy({
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            })
        else { return nil }
        self.text = String(text)
    }

    /// A new one.
    init() {
        var random = SystemRandomNumberGenerator()
        let digits = Array("0123456789abcdef".utf8)
        text = String(
            decoding: (0..<Self.textCount).map { _ in digits[Int(random.next() & 15)] }, as: UTF8.self)
    }

    init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let token = PipeToken(text) else {
            throw EndpointError(.protocolViolation, "'\(text.prefix(40))' is not the token of a pipe")
        }
        self = token
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
