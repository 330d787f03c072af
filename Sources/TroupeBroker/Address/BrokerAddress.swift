public import TroupeCore

/// Where a broker is, as users write it.
///
/// `embedded:[DIR]`, `inproc://NAME`, `ipc:///PATH`, `tcp://HOST:PORT`, `tls+tcp://HOST:PORT?ca=&cert=&key=&name=`,
/// `ws://HOST:PORT/PATH`; the last three take `token-file=PATH`, too, and the first `durability=CLASS`. The secrets themselves are never part of a URL.
public struct BrokerAddress: Sendable, Hashable, CustomStringConvertible {
    /// The transport and its place.
    public enum Place: Sendable, Hashable {
        /// The broker of a directory on this host, which the first process that opens it becomes; nil is the user's own.
        case embedded(directory: String?)
        case inproc(name: String)
        case ipc(path: String)
        case tcp(host: String, port: UInt16)
        case tls(host: String, port: UInt16)
        case ws(host: String, port: UInt16, path: String)
    }

    public var place: Place
    /// File with the certificates of the authorities to trust (PEM).
    public var authoritiesFile: String?
    /// Files with our own certificate and private key (PEM).
    public var certificateFile: String?
    public var keyFile: String?
    /// The name in the server's certificate, when it is not the host.
    public var serverName: String?
    /// File with the shared token; only its owner may be allowed to read it.
    public var tokenFile: String?
    /// For an embedded broker: the class that it offers if this process becomes it.
    public var durability: DurabilityClass?

    /// The address in its canonical spelling.
    public var description: String {
        let options = [
            ("ca", authoritiesFile), ("cert", certificateFile), ("key", keyFile), ("name", serverName),
            ("token-file", tokenFile), ("durability", durability?.rawValue),
        ].compactMap { name, value in value.map { "\(name)=\($0.percentEncoded)" } }
        return place.description + (options.isEmpty ? "" : "?" + options.joined(separator: "&"))
    }

    /// Reads an address.
    /// - Throws: `BrokerError` of code `invalidAddress` that says what is wrong; it repeats neither user info nor query.
    public init(_ url: String) throws(BrokerError) {
        var parser = try AddressParser(url)
        place = try parser.place()
        let takesTLS = if case .tls = place { true } else { false }
        let isEmbedded = if case .embedded = place { true } else { false }
        let takesToken =
            switch place {
            case .tcp, .tls, .ws: true
            case .embedded, .inproc, .ipc: false
            }
        for (name, value) in try parser.options() {
            switch name {
            case "ca" where takesTLS: authoritiesFile = value
            case "cert" where takesTLS: certificateFile = value
            case "key" where takesTLS: keyFile = value
            case "name" where takesTLS: serverName = value
            case "token-file" where takesToken: tokenFile = value
            case "durability" where isEmbedded:
                guard let level = DurabilityClass(rawValue: value) else {
                    throw parser.failure("durability= is volatile, journaled or durable")
                }
                durability = level
            case "token":
                throw parser.failure("a token does not belong into a URL; set TROUPE_TOKEN or use token-file=PATH")
            default:
                throw parser.failure("the option \(name)= is not one of this transport")
            }
        }
        if (certificateFile == nil) != (keyFile == nil) {
            throw parser.failure("cert= and key= go together")
        }
    }
}

extension BrokerAddress.Place: CustomStringConvertible {
    public var description: String {
        switch self {
        case .embedded(let directory): "embedded:\(directory?.percentEncoded ?? "")"
        case .inproc(let name): "inproc://\(name)"
        case .ipc(let path): "ipc://\(path.percentEncoded)"
        case .tcp(let host, let port): "tcp://\(host.bracketed):\(port)"
        case .tls(let host, let port): "tls+tcp://\(host.bracketed):\(port)"
        case .ws(let host, let port, let path): "ws://\(host.bracketed):\(port)\(path)"
        }
    }
}

extension String {
    /// An IPv6 host in its brackets.
    var bracketed: String { contains(":") ? "[\(self)]" : self }

    /// The text with what would end a path, or begin an option, percent-encoded.
    var percentEncoded: String {
        let hex = Array("0123456789ABCDEF")
        return utf8.reduce(into: "") { text, byte in
            if byte > 0x20 && byte < 0x7f && !"%?#&=".utf8.contains(byte) {
                text.append(Character(UnicodeScalar(byte)))
            } else {
                text += ["%", hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
    }
}
