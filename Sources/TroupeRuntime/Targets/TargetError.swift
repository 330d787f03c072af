/// Why a message cannot be turned into a call of a distributed method in this process.
package struct TargetError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of failure.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String, Hashable, Sendable {
            case unknownType, unknownMethod, ambiguousMethod, genericArguments
        }
        private let kind: Kind
        package var description: String { kind.rawValue }

        /// No distributed method of the type is linked into this process.
        package static let unknownType = Code(kind: .unknownType)
        /// The type is here, and has no method of that wire name.
        package static let unknownMethod = Code(kind: .unknownMethod)
        /// Several methods of the type have one wire name.
        package static let ambiguousMethod = Code(kind: .ambiguousMethod)
        /// A call came with the wrong number of generic arguments.
        package static let genericArguments = Code(kind: .genericArguments)
    }

    package let code: Code
    /// What happened, to which type and method, and what to do about it.
    package let message: String

    package var description: String { message }
}

extension TargetError {
    static func unknownType(_ type: String) -> TargetError {
        TargetError(
            code: .unknownType,
            message: "No distributed method of the type \(type) is linked into this program: "
                + "link the module that declares it, or send to a worker that does.")
    }

    static func unknownMethod(_ method: String, on type: String, known: [String]) -> TargetError {
        let shown = known.prefix(20).joined(separator: ", ") + (known.count > 20 ? ", …" : "")
        let others = known.isEmpty ? "It has no distributed methods." : "It has: \(shown)."
        return TargetError(
            code: .unknownMethod,
            message: "The type \(type) has no distributed method \(method) in this program. \(others)")
    }

    static func ambiguousMethod(_ method: String, on type: String, candidates: [String]) -> TargetError {
        TargetError(
            code: .ambiguousMethod,
            message: "The type \(type) has \(candidates.count) distributed methods with the one wire name \(method): "
                + candidates.joined(separator: " and ") + ". Rename one of them, or give it other argument labels.")
    }

    static func genericArguments(_ method: String, on type: String, expected: Int, found: Int) -> TargetError {
        TargetError(
            code: .genericArguments,
            message: "A call of \(method) on the type \(type) carries \(found) generic arguments and needs "
                + "\(expected): the caller was built with another version of the method, or called a generic actor by a protocol."
        )
    }

    static func genericMethodOfGenericActor(_ method: String, on type: String) -> TargetError {
        TargetError(
            code: .genericArguments,
            message: "The generic method \(method) of the generic actor \(type) cannot be called by a message in this "
                + "version of Swift: make the method or the actor non-generic.")
    }
}
