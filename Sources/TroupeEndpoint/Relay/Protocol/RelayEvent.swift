/// What a relay says to an endpoint.
enum RelayEvent: Sendable, Hashable {
    /// The first message of every connection: what to sign, and whose name to sign with it.
    case challenge(bytes: [UInt8], relay: String)
    /// The login is accepted.
    case welcome(RelayWelcome)
    /// Not done. Without a request it is about the connection, which ends.
    case refused(request: UInt32?, reason: String, detail: String)
    /// The signal was passed on.
    case accepted(request: UInt32)
    case presence(present: [EndpointID], absent: [EndpointID])
    case signal(from: EndpointID, bytes: [UInt8])
    /// The pipe that was asked for: to be opened at once.
    case pipe(request: UInt32, token: PipeToken)
    /// Another endpoint has asked for a pipe to this one.
    case incoming(from: EndpointID, token: PipeToken)
    /// Both ends of the pipe are there: what follows is theirs.
    case ready
}

/// What an endpoint may do at a relay.
struct RelayWelcome: Sendable, Hashable, Codable {
    var frameSizeBytesMax: Int
    var signalSizeBytesMax: Int
    var isForwarding: Bool
}

extension RelayEvent: Codable {
    private enum Kind: String, Codable {
        case challenge, welcome, refused, accepted, presence, signal, pipe, incoming, ready
    }

    private enum Key: String, CodingKey {
        case kind, bytes, relay, welcome, request, reason, detail, present, absent, from, token
    }

    init(from decoder: any Decoder) throws {
        let map = try decoder.container(keyedBy: Key.self)
        switch try map.decode(Kind.self, forKey: .kind) {
        case .challenge:
            self = .challenge(
                bytes: try map.decode([UInt8].self, forKey: .bytes), relay: try map.decode(String.self, forKey: .relay))
        case .welcome: self = .welcome(try map.decode(RelayWelcome.self, forKey: .welcome))
        case .refused:
            self = .refused(
                request: try map.decodeIfPresent(UInt32.self, forKey: .request),
                reason: try map.decode(String.self, forKey: .reason),
                detail: try map.decode(String.self, forKey: .detail))
        case .accepted: self = .accepted(request: try map.decode(UInt32.self, forKey: .request))
        case .presence:
            self = .presence(
                present: try map.decode([EndpointID].self, forKey: .present),
                absent: try map.decode([EndpointID].self, forKey: .absent))
        case .signal:
            self = .signal(
                from: try map.decode(EndpointID.self, forKey: .from),
                bytes: try map.decode([UInt8].self, forKey: .bytes))
        case .pipe:
            self = .pipe(
                request: try map.decode(UInt32.self, forKey: .request),
                token: try map.decode(PipeToken.self, forKey: .token))
        case .incoming:
            self = .incoming(
                from: try map.decode(EndpointID.self, forKey: .from),
                token: try map.decode(PipeToken.self, forKey: .token))
        case .ready: self = .ready
        }
    }

    func encode(to encoder: any Encoder) throws {
        var map = encoder.container(keyedBy: Key.self)
        try map.encode(kind, forKey: .kind)
        switch self {
        case .challenge(let bytes, let relay):
            try map.encode(bytes, forKey: .bytes)
            try map.encode(relay, forKey: .relay)
        case .welcome(let welcome):
            try map.encode(welcome, forKey: .welcome)
        case .refused(let request, let reason, let detail):
            try map.encodeIfPresent(request, forKey: .request)
            try map.encode(reason, forKey: .reason)
            try map.encode(detail, forKey: .detail)
        case .accepted(let request):
            try map.encode(request, forKey: .request)
        case .presence(let present, let absent):
            try map.encode(present, forKey: .present)
            try map.encode(absent, forKey: .absent)
        case .signal(let from, let bytes):
            try map.encode(from, forKey: .from)
            try map.encode(bytes, forKey: .bytes)
        case .pipe(let request, let token):
            try map.encode(request, forKey: .request)
            try map.encode(token, forKey: .token)
        case .incoming(let from, let token):
            try map.encode(from, forKey: .from)
            try map.encode(token, forKey: .token)
        case .ready: break
        }
    }

    private var kind: Kind {
        switch self {
        case .challenge: .challenge
        case .welcome: .welcome
        case .refused: .refused
        case .accepted: .accepted
        case .presence: .presence
        case .signal: .signal
        case .pipe: .pipe
        case .incoming: .incoming
        case .ready: .ready
        }
    }
}
