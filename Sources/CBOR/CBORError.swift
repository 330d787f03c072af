/// What went wrong while CBOR was written or read.
///
/// Every malformed, truncated, oversized or too deep input ends in one of these, never in a trap. `offset` counts bytes
/// from the start of the input; `codingPath` names the place in the Swift value, where one is known.
public struct CBORError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure, for programs; `message` is for people.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Name: String {
            case truncated, malformed, tooDeep, tooLarge, tooManyItems, trailingBytes, invalidUTF8, duplicateKey
            case typeMismatch, outOfRange, keyNotFound, invalidJSON, invalidUse, userCode
        }

        private let name: Name

        private init(_ name: Name) {
            self.name = name
        }

        public var description: String { name.rawValue }

        /// The input ends inside an item.
        public static let truncated = Code(.truncated)
        /// The bytes are not CBOR.
        public static let malformed = Code(.malformed)
        /// Items, or the Swift types that code them, nest deeper than the limit.
        public static let tooDeep = Code(.tooDeep)
        /// The input has more bytes than the limit.
        public static let tooLarge = Code(.tooLarge)
        /// The input has more items than the limit.
        public static let tooManyItems = Code(.tooManyItems)
        /// Bytes follow the one item that was expected.
        public static let trailingBytes = Code(.trailingBytes)
        /// A text string is not UTF-8.
        public static let invalidUTF8 = Code(.invalidUTF8)
        /// A map has one key twice.
        public static let duplicateKey = Code(.duplicateKey)
        /// The item is of another type than the one asked for.
        public static let typeMismatch = Code(.typeMismatch)
        /// The number does not fit the type asked for.
        public static let outOfRange = Code(.outOfRange)
        /// A map lacks a key that the Swift type needs, or an array an element.
        public static let keyNotFound = Code(.keyNotFound)
        /// The text is not JSON.
        public static let invalidJSON = Code(.invalidJSON)
        /// A Codable type used its coder in a way that has no meaning, such as two values in one place.
        public static let invalidUse = Code(.invalidUse)
        /// A type's own `encode(to:)` or `init(from:)` threw; see `underlying`.
        public static let userCode = Code(.userCode)
    }

    public let code: Code
    public let message: String
    /// Bytes from the start of the input, when reading.
    public let offset: Int?
    /// Keys and indices from the root value to the place of the failure.
    public let codingPath: [String]
    /// The error thrown by a type's own coding code.
    public let underlying: (any Error)?

    public init(
        _ code: Code, _ message: String, offset: Int? = nil, codingPath: [String] = [], underlying: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.offset = offset
        self.codingPath = codingPath
        self.underlying = underlying
    }

    public var description: String {
        var text = "CBOR \(code): \(message)"
        if let offset { text += " (at byte \(offset))" }
        if !codingPath.isEmpty { text += " (in \(codingPath.joined(separator: ".")))" }
        return text
    }

    /// The same error with a place in the Swift value, unless it has one already.
    func located(at path: @autoclosure () -> [String]) -> CBORError {
        guard codingPath.isEmpty else { return self }
        return CBORError(code, message, offset: offset, codingPath: path(), underlying: underlying)
    }

    /// Wraps what a type's own coding code threw; our own errors stay themselves.
    static func wrapping(_ error: any Error, path: @autoclosure () -> [String]) -> CBORError {
        if let known = error as? CBORError { return known.located(at: path()) }
        return CBORError(.userCode, "\(error)", codingPath: path(), underlying: error)
    }
}

// Failures are made out of line so that the readers' fast paths stay small.
extension CBORError {
    @usableFromInline @inline(never)
    static func truncatedInput(at offset: Int, needing count: UInt64) -> CBORError {
        CBORError(.truncated, "the input ends where \(count) more bytes are needed", offset: offset)
    }

    @usableFromInline @inline(never)
    static func mismatch(_ expected: StaticString, initialByte: UInt8, at offset: Int) -> CBORError {
        CBORError(
            .typeMismatch, "expected \(expected), found \(CBORKind.describe(initialByte: initialByte))", offset: offset)
    }

    @usableFromInline @inline(never)
    static func malformed(_ what: StaticString, at offset: Int) -> CBORError {
        CBORError(.malformed, "\(what)", offset: offset)
    }

    @usableFromInline @inline(never)
    static func outOfRange(_ type: StaticString, at offset: Int) -> CBORError {
        CBORError(.outOfRange, "the number does not fit \(type)", offset: offset)
    }
}
