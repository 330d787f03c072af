/// One argument of a command, the command's name included.
package enum RedisArgument: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    /// Large payloads are sent from this array without a copy.
    case bytes([UInt8])
    case slice(ArraySlice<UInt8>)
    case string(String)
    case literal(StaticString)
    case integer(Int)

    package init(stringLiteral value: StaticString) { self = .literal(value) }
    package init(integerLiteral value: Int) { self = .integer(value) }

    /// The argument as text, for naming a command in an error.
    package var text: String {
        switch self {
        case .bytes(let bytes): String(decoding: bytes.prefix(64), as: UTF8.self)
        case .slice(let bytes): String(decoding: bytes.prefix(64), as: UTF8.self)
        case .string(let string): string
        case .literal(let literal): literal.description
        case .integer(let integer): String(integer)
        }
    }
}
