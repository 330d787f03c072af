/// Where a Redis server is and how to talk to it. See `init(url:)` for the forms of a URL.
public struct RedisConfiguration: Sendable, CustomStringConvertible {
    /// Where the server listens.
    public enum Address: Hashable, Sendable, CustomStringConvertible {
        case tcp(host: String, port: Int)
        case unix(path: String)

        public var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): path
            }
        }
    }

    /// How to set up TLS. Files are in PEM form.
    public struct TLS: Hashable, Sendable {
        public enum Verification: String, Hashable, Sendable {
            /// The certificate must be signed by a trusted authority and name the host.
            case full
            /// Any certificate will do: no protection against an impostor.
            case none
        }

        /// The authorities to trust instead of the system's.
        public var caFile: String?
        public var certificateFile: String?
        public var keyFile: String?
        public var verification = Verification.full

        public init() {}
    }

    /// A password that does not show itself when it is printed.
    public struct Password: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
        package let text: String

        public init(_ text: String) { self.text = text }

        public var description: String { "<password>" }
        public var customMirror: Mirror { Mirror(self, children: [:]) }
    }

    /// How the server that holds a key is found.
    public enum Topology: Hashable, Sendable {
        /// The one at `address`, whatever it is.
        case single
        /// The primary of that name, as the Sentinels at `address` and at these further addresses know it.
        case sentinel(primary: String, further: [Address])
        /// The owner of the key's slot in a Redis Cluster, of which nodes are at `address` and at these further ones.
        case cluster(further: [Address])
    }

    public var address: Address
    public var topology = Topology.single
    /// How many replicas must have confirmed what was written before it counts as acknowledged (`WAIT`).
    public var replicaCountMin = 0
    /// The user and password of the Sentinels, which are not those of the servers.
    public var sentinelUser: String?
    public var sentinelPassword: Password?
    /// Nil for a connection in the clear.
    public var tls: TLS?
    /// The user of the server's access control list; nil for the default user.
    public var user: String?
    public var password: Password?
    public var database = 0
    /// What all keys of ours begin with: letters, digits, `-`, `_` and `.`.
    public var prefix = RedisConfiguration.defaultPrefix
    /// How this client calls itself to the server (`CLIENT LIST`).
    public var clientName = "troupe"
    /// The further options of the URL, such as `shards`, for whoever knows them.
    public var options: [String: String] = [:]

    /// How long to connect may take: looking the host up, reaching it, TLS and the password.
    public var connectTimeout = Duration.seconds(5)
    /// How long a command may take unless its caller says otherwise.
    public var commandTimeout = Duration.seconds(10)
    /// The largest reply accepted, in bytes.
    public var replySizeBytesMax = 513 * 1024 * 1024
    /// The most elements, nested ones included, in one reply.
    public var replyElementCountMax = 4 * 1024 * 1024
    /// The most commands of one connection that may wait for their replies.
    public var commandsInFlightMax = 65_536
    /// Above this many bytes waiting to be sent, a connection takes no further command.
    public var unsentSizeBytesMax = 256 * 1024 * 1024

    public static let defaultPrefix = "troupe"
    public static let defaultPort = 6379

    public init(address: Address) { self.address = address }

    /// All addresses that were named: of the server, or of Sentinels or nodes of a cluster.
    package var seeds: [Address] {
        switch topology {
        case .single: [address]
        case .sentinel(_, let further), .cluster(let further): [address] + further
        }
    }

    /// The seeds as text, for naming the place in messages.
    package var place: String { seeds.map(\.description).joined(separator: ",") }

    /// The URL without its password.
    public var description: String {
        let user = user.map { "\($0)@" } ?? ""
        let secure = tls == nil ? "redis" : "rediss"
        let further = "prefix=\(prefix)" + (replicaCountMin > 0 ? "&replicas=\(replicaCountMin)" : "")
        switch (topology, address) {
        case (.single, .tcp): return "\(secure)://\(user)\(address)/\(database)?\(further)"
        case (.single, .unix): return "redis+unix://\(user)\(address)?db=\(database)&\(further)"
        case (.sentinel(let primary, _), _):
            return "\(secure)+sentinel://\(user)\(place)/\(primary)/\(database)?\(further)"
        case (.cluster, _): return "\(secure)+cluster://\(user)\(place)?\(further)"
        }
    }

    /// Refuses what cannot be sent to a server or used in keys.
    package static func checkPrefix(_ prefix: String) throws(RedisError) {
        let isFine = prefix.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."): true
            default: false
            }
        }
        guard isFine, (1...64).contains(prefix.utf8.count) else {
            throw RedisError(
                .invalidConfiguration,
                "the prefix \"\(prefix)\" is not 1 to 64 letters, digits, '-', '_' or '.'; choose another ?prefix=")
        }
    }
}
