import CBOR
public import Distributed
import Synchronization
import TroupeCore
import TroupeStore

/// Records a call: each argument as its own CBOR item, so that a large one can be sent as a proxy.
public struct InvocationEncoder: DistributedTargetInvocationEncoder {
    public typealias SerializationRequirement = any Codable & Sendable

    var generics: [String] = []
    var arguments: [[UInt8]] = []
    /// The objects that the arguments mention.
    let noted = ReferenceCollector()
    private let encoder: CBOREncoder

    init(_ data: DataPlane) { encoder = data.encoder(noting: noted) }

    public mutating func recordGenericSubstitution<T>(_ type: T.Type) throws {
        guard let name = _mangledTypeName(type) else {
            throw TroupeError(.misuse, "the type \(type) has no name by which another process could find it")
        }
        generics.append(name)
    }

    public mutating func recordArgument<Value: Codable & Sendable>(_ argument: RemoteCallArgument<Value>) throws {
        arguments.append(try encoder.encode(argument.value))
    }

    public mutating func recordReturnType<R: Codable & Sendable>(_ type: R.Type) throws {}
    public mutating func recordErrorType<E: Error>(_ type: E.Type) throws {}
    public mutating func doneRecording() throws {}
}

/// Hands a stored call's arguments to the method, and lets go of their encoded form as it does.
public struct InvocationDecoder: DistributedTargetInvocationDecoder, @unchecked Sendable {
    public typealias SerializationRequirement = any Codable & Sendable

    /// Metatypes of linked types: they never change, though the compiler does not know them as Sendable.
    let generics: [any Any.Type]
    private let arguments: Arguments
    let decoder: CBORDecoder

    /// A class, since copies of the decoder would hold a large argument while its method runs.
    private final class Arguments: Sendable {
        private let state: Mutex<(items: [[UInt8]], next: Int)>
        let count: Int

        init(_ items: [[UInt8]]) {
            state = Mutex((items, 0))
            count = items.count
        }

        /// The next item and its number, counted from 1; no item after the last one.
        func take() -> (number: Int, item: [UInt8]?) {
            state.withLock { state in
                guard state.next < state.items.count else { return (state.next + 1, nil) }
                defer { state.next += 1 }
                var item: [UInt8] = []
                swap(&item, &state.items[state.next])
                return (state.next + 1, item)
            }
        }
    }

    init(generics: [any Any.Type], arguments: [[UInt8]], decoder: CBORDecoder) {
        self.generics = generics
        self.arguments = Arguments(arguments)
        self.decoder = decoder
    }

    public mutating func decodeGenericSubstitutions() throws -> [any Any.Type] { generics }

    public mutating func decodeNextArgument<Argument: Codable & Sendable>() throws -> Argument {
        let (number, item) = arguments.take()
        guard let item else {
            throw Undecodable("argument \(number) is missing: the message has \(arguments.count)")
        }
        do {
            return try decoder.decode(Argument.self, from: item)
        } catch {
            throw Undecodable("argument \(number) does not decode as \(Argument.self): \(error)")
        }
    }

    public mutating func decodeReturnType() throws -> (any Any.Type)? { nil }
    public mutating func decodeErrorType() throws -> (any Any.Type)? { nil }
}

/// A message that the running code cannot read: it is kept aside with the reason.
struct Undecodable: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

/// Takes a method's result, or the error it threw.
public struct ResultHandler: DistributedTargetInvocationResultHandler, Sendable {
    public typealias SerializationRequirement = any Codable & Sendable

    enum Result: Sendable {
        case returned([UInt8])
        case threw(any Error)
    }

    /// A class, since the handler is passed by value and asked for its result afterwards.
    final class Box: Sendable {
        private let result = Mutex<Result?>(nil)
        var value: Result? { result.withLock { $0 } }
        func set(_ value: Result) { result.withLock { $0 = value } }
    }

    let box = Box()
    /// The objects that the result mentions.
    let noted = ReferenceCollector()
    private let encoder: CBOREncoder

    init(_ data: DataPlane) { encoder = data.encoder(noting: noted) }

    public func onReturn<Success: Codable & Sendable>(value: Success) async throws {
        box.set(.returned(try encoder.encode(value)))
    }

    public func onReturnVoid() async throws { box.set(.returned(ArgumentList.null)) }

    public func onThrow<Err: Error>(error: Err) async throws { box.set(.threw(error)) }
}

/// The arguments of an envelope: a CBOR array of items.
enum ArgumentList {
    static let null: [UInt8] = [0xF6]

    static func joined(_ arguments: [[UInt8]]) -> [UInt8] {
        var writer = CBORWriter(capacity: arguments.reduce(9) { $0 + $1.count })
        writer.writeArrayHeader(arguments.count)
        for argument in arguments { writer.writeEncoded(argument) }
        return writer.bytes
    }

    static func split(_ bytes: [UInt8]) throws -> [[UInt8]] {
        var reader = CBORReader(bytes)
        let count = try reader.readArrayHeader()
        guard count <= 64 else { throw Undecodable("the message has \(count) arguments; 64 is the most") }
        var arguments: [[UInt8]] = []
        for _ in 0..<count { arguments.append(Array(try reader.readEncoded())) }
        try reader.finish()
        return arguments
    }
}

/// Types by their mangled names, as generic substitutions and thrown errors carry them.
///
/// Only types that are linked into this process can be found, and nothing is run. Names from outside are bounded and
/// plain ASCII: a control character would be a symbolic reference, a pointer in disguise.
enum TypeNames {
    static func type(named name: String) -> (any Any.Type)? {
        let bytes = name.utf8
        guard (1...512).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        return _typeByName(name)
    }

    /// For messages: the name without anything that a terminal would obey.
    static func readable(_ name: String) -> String {
        String(
            name.unicodeScalars.prefix(80).filter { $0.isASCII && $0.value > 0x20 && $0.value != 0x7F }.map(
                Character.init))
    }
}
