/// What an endpoint says to a relay.
enum RelayRequest: Sendable, Hashable {
    case login(RelayLogin)
    /// Tells of these endpoints from now on: at once what is, then what changes.
    case watch([EndpointID])
    case unwatch([EndpointID])
    /// Passes bytes on; they mean nothing to the relay.
    case signal(request: UInt32, to: EndpointID, bytes: [UInt8])
    /// Asks for a pipe to another endpoint.
    case connect(request: UInt32, to: EndpointID)
}

extension RelayRequest: Codable {
    private enum Kind: String, Codable {
        case login, watch, unwatch, signal, connect
    }

    private enum Key: String, CodingKey {
        case kind, login, ids, request, to, bytes
    }

    init(from decoder: any Decoder) throws {
        let map = try decoder.container(keyedBy: Key.self)
        switch try map.decode(Kind.self, forKey: .kind) {
        case .login: self = .login(try map.decode(RelayLogin.self, forKey: .login))
        case .watch: self = .watch(try map.decode([EndpointID].self, forKey: .ids))
        case .unwatch: self = .unwatch(try map.decode([EndpointID].self, forKey: .ids))
        case .signal:
            self = .signal(
                request: try map.decode(UInt32.self, forKey: .request),
                to: try map.decode(EndpointID.self, forKey: .to),
                bytes: try map.decode([UInt8].self, forKey: .bytes))
        case .connect:
            self = .connect(
                request: try map.decode(UInt32.self, forKey: .request), to: try map.decode(EndpointID.self, forKey: .to)
            )
        }
    }

    func encode(to encoder: any Encoder) throws {
        var map = encoder.container(keyedBy: Key.self)
        switch self {
        case .login(let login):
            try map.encode(Kind.login, forKey: .kind)
            try map.encode(login, forKey: .login)
        case .watch(let ids):
            try map.encode(Kind.watch, forKey: .kind)
            try map.encode(ids, forKey: .ids)
        case .unwatch(let ids):
            try map.encode(Kind.unwatch, forKey: .kind)
            try map.encode(ids, forKey: .ids)
        case .signal(let request, let to, let bytes):
            try map.encode(Kind.signal, forKey: .kind)
            try map.encode(request, forKey: .request)
            try map.encode(to, forKey: .to)
            try map.encode(bytes, forKey: .bytes)
        case .connect(let request, let to):
            try map.encode(Kind.connect, forKey: .kind)
            try map.encode(request, forKey: .request)
            try map.encode(to, forKey: .to)
        }
    }
}
