/// What the text of a demangled target says: which method of which type it is.
///
/// `RemoteCallTarget.description` drops the type of methods in extensions and of private types, so the whole
/// declaration is read, as the runtime prints it:
///
///     distributed thunk Module.Outer.Counter.add(Swift.Int) async throws -> Swift.Int
///     distributed thunk (extension in B):A.Box< where A == Swift.Int>.map<A where A1: Swift.Decodable>(_: A, to: A1) …
///     distributed thunk Module.(Secret in _4ECA850A).tell() async throws -> ()
///     distributed thunk tell(Swift.Int) async throws -> () in Local #1 in Module.function() -> ()
struct TargetName: Hashable, Sendable {
    /// The canonical name (see `canonical(typeName:)`) of the type or the protocol that has the method.
    let type: String
    let method: MethodDescription
    /// In an extension that Swift does not count to the type itself: of a protocol, in another module, or constrained.
    let isInExtension: Bool
    /// A method that only makes the calls of a `@Resolvable` protocol's stub.
    let isStub: Bool

    /// Nil when the text is not that of a distributed method.
    init?(demangled text: String) {
        let prefix = "distributed thunk "
        guard text.hasPrefix(prefix) else { return nil }
        let segments = OutlineText(text.dropFirst(prefix.count)).split(by: " in ")
        guard let declaration = segments.first,
            let list = declaration.firstBracketed(by: UInt8(ascii: "("), notAfter: " .:")
        else { return nil }

        let head = declaration[0..<list.lowerBound]
        var path = head.split(by: ".")
        guard let last = path.popLast() else { return nil }
        let context = path.map(\.text)
        if segments.count > 1 {
            type = Self.localType(path: context, scopes: segments.dropFirst().map(\.text))
        } else {
            type = Self.canonical(path: context)
        }
        method = Self.method(
            name: last,
            parameters: declaration[(list.lowerBound + 1)..<(list.upperBound - 1)],
            effects: declaration[list.upperBound..<declaration.count])
        isInExtension = head.text.hasPrefix("(extension in ")
        let isMacroMade = type.split(separator: ".").last?.hasPrefix("$") ?? false
        isStub = isMacroMade || (isInExtension && head.text.contains(": Distributed._DistributedActorStub"))
    }

    /// The name under which the methods of a type are found, out of what `String(reflecting:)` says of the type.
    ///
    /// Generic arguments are left out. Of private and local types the compiler keeps no stable path: they are called by
    /// the module and what follows the last unnamed scope.
    static func canonical(typeName: String) -> String {
        canonical(path: OutlineText(typeName).split(by: ".").map(\.text))
    }

    private static func canonical(path: [String]) -> String {
        var components: [String] = []
        for (index, component) in path.enumerated() {
            var outline = OutlineText(component)
            if index == 0 { outline = withoutExtension(outline) }
            if component.hasPrefix("(unknown context at ") {
                components.removeLast(max(0, components.count - 1))
                continue
            }
            if outline.text.hasPrefix("("), let inside = outline.firstBracketed(by: UInt8(ascii: "(")) {
                components.removeLast(max(0, components.count - 1))
                let named = outline[(inside.lowerBound + 1)..<(inside.upperBound - 1)]
                outline = named.split(by: " in ").first ?? named
            }
            components.append(outline.removing(bracket: UInt8(ascii: "<")).text)
        }
        return components.joined(separator: ".")
    }

    /// `scopes` are those of a local type, from its own name outwards; the last one names the module.
    private static func localType(path: [String], scopes: [String]) -> String {
        let outermost = OutlineText(scopes.last ?? "")
        let named = outermost.split(by: ".").first.map { withoutExtension($0).text } ?? ""
        let module = named.split(separator: " ").last.map(String.init) ?? ""
        let own = scopes.first.map { $0.split(separator: " #").first.map(String.init) ?? $0 } ?? ""
        return ([module, own] + path.map { OutlineText($0).removing(bracket: UInt8(ascii: "<")).text })
            .joined(separator: ".")
    }

    private static func withoutExtension(_ text: OutlineText) -> OutlineText {
        guard text.text.hasPrefix("(extension in "), let colon = text.firstIndex(of: ":") else { return text }
        return text[(colon + 1)..<text.count]
    }

    private static func method(name: OutlineText, parameters: OutlineText, effects: OutlineText) -> MethodDescription {
        let generics = name.firstBracketed(by: UInt8(ascii: "<"))
        let base = name[0..<(generics?.lowerBound ?? name.count)].text
        let list = parameters.split(by: ", ").map(parameter)
        let result = effects.firstIndex(of: "-> ").map { shown(effects[($0 + 3)..<effects.count].text) }
        return MethodDescription(
            name: base + "(" + list.map { "\($0.label):" }.joined() + ")",
            parameters: list,
            result: result == "()" ? nil : result,
            genericParameterCount: generics.map { count(generics: name[($0.lowerBound + 1)..<($0.upperBound - 1)]) }
                ?? 0)
    }

    /// A single parameter without a label is printed as its type alone.
    private static func parameter(_ text: OutlineText) -> MethodDescription.Parameter {
        guard let colon = text.firstIndex(of: ": ") else { return .init(label: "_", type: shown(text.text)) }
        return .init(label: text[0..<colon].text, type: shown(text[(colon + 2)..<text.count].text))
    }

    private static func count(generics: OutlineText) -> Int {
        let named = generics[0..<(generics.firstIndex(of: " where ") ?? generics.count)]
        return named.split(by: ", ").count
    }

    /// The name of a type without the places of its extensions.
    private static func shown(_ type: String) -> String {
        var text = type
        while let start = text.range(of: "(extension in "), let end = text[start.upperBound...].range(of: "):") {
            text.removeSubrange(start.lowerBound..<end.upperBound)
        }
        return text
    }
}

extension StringProtocol {
    /// The first place of `other`, without Foundation.
    fileprivate func range(of other: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
            formIndex(after: &start)
        }
        return nil
    }
}
