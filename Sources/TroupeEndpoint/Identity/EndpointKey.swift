package import Crypto
package import SystemPackage

/// An endpoint's private key (Ed25519), which never leaves its machine.
package struct EndpointKey: Sendable {
    package let id: EndpointID
    package let signing: Curve25519.Signing.PrivateKey

    /// A new one.
    package init() { self.init(Curve25519.Signing.PrivateKey()) }

    private init(_ key: Curve25519.Signing.PrivateKey) {
        signing = key
        guard let id = try? EndpointID(publicKey: Array(key.publicKey.rawRepresentation)) else {
            preconditionFailure("an Ed25519 public key has 32 bytes")
        }
        self.id = id
    }

    /// Signs bytes for one purpose; a signature made for another one does not verify.
    package func sign(_ bytes: [UInt8], for purpose: SignaturePurpose) throws(EndpointError) -> [UInt8] {
        do {
            return Array(try signing.signature(for: purpose.bound(bytes)))
        } catch {
            throw EndpointError(.invalidArgument, "the endpoint's key cannot sign: \(error)")
        }
    }
}

/// What a signature is for; part of what is signed.
package enum SignaturePurpose: String, Sendable {
    /// Proves to a relay who asks.
    case relayLogin = "troupe relay login 1"
    /// Narrows or hands on the right to call an actor.
    case capability = "troupe capability 1"
    /// Protects what two endpoints tell each other through a relay.
    case signalling = "troupe signalling 1"

    func bound(_ bytes: [UInt8]) -> [UInt8] { Array(rawValue.utf8) + [0] + bytes }
}

extension EndpointID {
    /// Whether the endpoint's key made this signature, for that purpose.
    package func verifies(_ signature: [UInt8], of bytes: [UInt8], for purpose: SignaturePurpose) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: publicKey) else { return false }
        return key.isValidSignature(signature, for: purpose.bound(bytes))
    }
}

// MARK: The file

extension EndpointKey {
    /// The file's only line begins with this; 64 hexadecimal digits follow.
    private static let fileMark = "troupe-endpoint-key-1 "

    /// Makes a key and its file, which only the owner can read. A file that is there already is left as it is.
    package static func create(at path: FilePath) throws(EndpointError) -> EndpointKey {
        let key = EndpointKey()
        let digits = key.signing.rawRepresentation.map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }
        let text = fileMark + digits.joined() + "\n"
        do {
            let file = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .exclusiveCreate], permissions: [.ownerRead, .ownerWrite])
            try file.closeAfter { _ = try file.writeAll(text.utf8) }
        } catch let error as Errno where error == .fileExists {
            throw EndpointError(
                .files, "\(path) is there already: an endpoint keeps its key; name another directory for a new endpoint"
            )
        } catch {
            throw EndpointError(.files, "\(path) cannot be written: \(error)")
        }
        return key
    }

    /// Reads a key from its file.
    package static func load(from path: FilePath) throws(EndpointError) -> EndpointKey {
        var bytes = [UInt8](repeating: 0, count: 256)
        do {
            let file = try FileDescriptor.open(path, .readOnly)
            let count = try file.closeAfter {
                try unsafe bytes.withUnsafeMutableBytes { unsafe try file.read(into: $0) }
            }
            bytes.removeLast(bytes.count - count)
        } catch let error as Errno where error == .noSuchFileOrDirectory {
            throw EndpointError(.files, "there is no key at \(path): make one with 'troupe endpoint init'")
        } catch {
            throw EndpointError(.files, "\(path) cannot be read: \(error)")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasPrefix(fileMark), let raw = hexadecimal(text.dropFirst(fileMark.count)), raw.count == 32,
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: raw)
        else {
            throw EndpointError(
                .files, "\(path) is no endpoint key: restore it from a copy, or make a new endpoint elsewhere")
        }
        return EndpointKey(key)
    }

    private static func hexadecimal(_ text: Substring) -> [UInt8]? {
        let digits = text.hasSuffix("\n") ? text.dropLast() : text
        guard digits.utf8.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        var rest = digits
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
