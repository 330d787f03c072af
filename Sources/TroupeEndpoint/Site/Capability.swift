import CBOR
import Crypto
import Foundation
import TroupeCore

/// The right to call actors of a site, as a text that can be handed on: whoever holds it may do what it allows, and may
/// narrow it further without asking anybody.
///
/// It is a chain of conditions, each sealed with the seal of the one before as the key, the first with a secret of the site's
/// endpoint (Birgisson et al., *Macaroons*, 2014). A condition can be added by anyone and taken away by nobody. The endpoint of
/// the actor's site checks all of them at each message; it keeps no list, so a capability cannot be called back before it
/// expires, except by a new key of the endpoint.
public struct Capability: Hashable, Sendable {
    /// What must hold for a message.
    public enum Condition: Hashable, Sendable, Codable {
        /// It goes to this actor.
        case actor(String)
        /// It goes to an actor of this type.
        case type(String)
        /// It asks for one of these methods, by their wire names.
        case methods([String])
        /// It arrives before that time, in milliseconds since 1970 by the site's clock.
        case before(Int64)
        /// It comes from this site.
        case from(String)
    }

    /// The site whose actors may be called.
    public let site: String
    public let conditions: [Condition]
    private let seal: [UInt8]

    private static let head = "troupe-cap1."
    static let conditionsMax = 64
    static let textSizeBytesMax = 8 << 10

    private struct Wire: Codable {
        var site: String
        var conditions: [Condition]
        var seal: [UInt8]
    }

    private init(site: String, conditions: [Condition], seal: [UInt8]) {
        self.site = site
        self.conditions = conditions
        self.seal = seal
    }

    /// The right to call every actor of the endpoint's site; to be narrowed before it is handed on.
    package init(site: String, by key: EndpointKey) {
        self.init(site: site, conditions: [], seal: Self.seal(Array(site.utf8), with: key.capabilitySecret))
    }

    /// The same with one more condition.
    public func narrowed(by condition: Condition) throws(EndpointError) -> Capability {
        guard conditions.count < Self.conditionsMax else {
            throw EndpointError(
                .limitExceeded, "a capability has \(Self.conditionsMax) conditions at most; begin with a wider one")
        }
        return Capability(
            site: site, conditions: conditions + [condition],
            seal: Self.seal(try Self.encoded(condition), with: SymmetricKey(data: seal)))
    }

    private static func seal(_ bytes: [UInt8], with key: SymmetricKey) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key))
    }

    private static func encoded(_ condition: Condition) throws(EndpointError) -> [UInt8] {
        do {
            return try CBOREncoder().encode(condition)
        } catch {
            throw EndpointError(.invalidArgument, "a condition of a capability cannot be encoded: \(error)")
        }
    }

    // MARK: The text

    /// What is handed on. It is a secret like a password.
    public var text: String {
        get throws(EndpointError) {
            do {
                let bytes = try CBOREncoder().encode(Wire(site: site, conditions: conditions, seal: seal))
                return Self.head + Data(bytes).base64EncodedString()
            } catch {
                throw EndpointError(.invalidArgument, "the capability cannot be encoded: \(error)")
            }
        }
    }

    /// Reads the text; whether it holds is known only to the site.
    public init(parsing text: String) throws(EndpointError) {
        guard text.utf8.count <= Self.textSizeBytesMax, text.hasPrefix(Self.head),
            let data = Data(base64Encoded: String(text.dropFirst(Self.head.count))),
            let wire = try? CBORDecoder(
                limits: CBORLimits(depthMax: 8, sizeBytesMax: Self.textSizeBytesMax, itemCountMax: 4096)
            ).decode(Wire.self, from: Array(data)), wire.conditions.count <= Self.conditionsMax
        else {
            throw EndpointError(
                .invalidArgument, "this is no capability: it takes the whole text that 'troupe endpoint grant' printed")
        }
        self.init(site: wire.site, conditions: wire.conditions, seal: wire.seal)
    }

    // MARK: Checking

    /// Whether it lets a message in. Called at the site of the actor.
    ///
    /// - Returns: why not; nil if it does.
    func refusal(
        of target: ActorID, method: String, from peer: String, now: Timestamp, at site: String, key: EndpointKey
    ) -> String? {
        guard self.site == site else { return "the capability is of site '\(self.site)'" }
        var expected = Self.seal(Array(site.utf8), with: key.capabilitySecret)
        for condition in conditions {
            guard let bytes = try? Self.encoded(condition) else { return "the capability cannot be read" }
            expected = Self.seal(bytes, with: SymmetricKey(data: expected))
        }
        // In constant time, so that a seal cannot be guessed byte by byte.
        guard expected.count == seal.count, zip(expected, seal).reduce(0, { $0 | ($1.0 ^ $1.1) }) == 0 else {
            return "the capability's seal does not hold"
        }
        for condition in conditions {
            switch condition {
            case .actor(let actor) where actor != target.key: return "the capability is for \(actor)"
            case .type(let type) where type != target.type: return "the capability is for actors of type \(type)"
            case .methods(let methods) where !methods.contains(method):
                return "the capability is for \(methods.prefix(8).joined(separator: ", "))"
            case .before(let end) where now.milliseconds >= end: return "the capability has expired"
            case .from(let other) where other != peer: return "the capability is for site '\(other)'"
            case .actor, .type, .methods, .before, .from: continue
            }
        }
        return nil
    }
}

extension Capability: CustomStringConvertible {
    /// What it is for, without the seal.
    public var description: String { "a capability of site \(site) with \(conditions.count) conditions" }
}

extension EndpointKey {
    /// Known to nobody who does not have the key.
    fileprivate var capabilitySecret: SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: signing.rawRepresentation),
            info: Array(SignaturePurpose.capability.rawValue.utf8), outputByteCount: 32)
    }
}
