import Distributed
import Testing

@testable import TroupeRuntime

@Suite struct TargetsTableTests {
    let table = TargetTable.linked
    private let module = "TroupeRuntimeTests"

    @Test func methodsAreDescribed() {
        let described = table.targets(of: Tally.self).methods.map(\.description)
        #expect(
            described == [
                "`odd (name)`(`a label`: Swift.Int) -> Swift.Int",
                "add(_: Swift.Int) -> Swift.Int",
                "echo(_: A) -> A",
                "greeting(for: Swift.String) -> Swift.String",
                "größe(maß: Swift.Double) -> Swift.Double",
                "hidden(_: Swift.Int) -> Swift.Int",
                "pair(_: A1) -> Swift.Array<A1>",
                "repeat(in: Swift.String, with: Swift.Int) -> Swift.Optional<Swift.Array<Swift.String>>",
                "reset()",
                "scale(by: Swift.Int) -> Swift.Int",
                "total() -> Swift.Int",
                "zip(keys: Swift.Array<A>, _: Swift.Array<B>) -> Swift.Dictionary<A, B>",
            ])
    }

    @Test func targetsAreFoundByQualifiedName() throws {
        let target = try table.target(type: "\(module).Tally", method: "add(_:)")
        #expect(table.wireMethod(ofTarget: target) == "add(_:)")
        #expect(table.methods(ofType: "\(module).Outer.Inner").map(\.name) == ["depth(of:)"])
        #expect(TargetTable.qualifiedName(of: Outer.Inner.Innermost.self) == "\(module).Outer.Inner.Innermost")
        #expect(TargetTable.qualifiedName(of: Box<Outer.Options>.self) == "\(module).Box")
    }

    @Test func whatIsNotThereIsNamed() {
        let noType = #expect(throws: TargetError.self) { try table.target(type: "Elsewhere.Tally", method: "add(_:)") }
        #expect(noType?.code == .unknownType)
        #expect(noType?.message.contains("Elsewhere.Tally") == true)
        let noMethod = #expect(throws: TargetError.self) {
            try table.targets(of: Outer.Inner.self).method("add(_:)")
        }
        #expect(noMethod?.code == .unknownMethod)
        #expect(noMethod?.message.contains("depth(of:)") == true)
        #expect(throws: TargetError.self) { try table.targets(of: Silent.self).method("add(_:)") }
        #expect(table.targets(of: Silent.self).methods.isEmpty)
    }

    @Test func overloadsAreFoundAtRegistration() throws {
        try table.targets(of: Tally.self).checkUnambiguous()
        let error = #expect(throws: TargetError.self) { try table.targets(of: Overloaded.self).checkUnambiguous() }
        #expect(error?.code == .ambiguousMethod)
        #expect(error?.message.contains("\(module).Overloaded") == true)
    }

    @Test func extensionMethodsGoToConformingTypesOnly() throws {
        #expect(try table.targets(of: Tally.self).method("pair(_:)").declaredBy == "\(module).Greeting")
        #expect(throws: TargetError.self) { try table.targets(of: Outer.Inner.self).method("pair(_:)") }
    }

    @Test func wrongNumbersOfGenericArgumentsAreRefused() throws {
        let method = try table.targets(of: Tally.self).method("zip(keys:_:)")
        let error = #expect(throws: TargetError.self) {
            try method.genericArguments(received: [Int.self], on: Tally.self)
        }
        #expect(error?.code == .genericArguments)
        #expect(try method.genericArguments(received: [Int.self, String.self], on: Tally.self).count == 2)
        let keep = try table.targets(of: Box<Int>.self).method("keep(_:)")
        #expect(throws: TargetError.self) { try keep.genericArguments(received: [], on: Box<Int>.self) }
    }

    @Test func unlistedTargetsHaveNamesToo() {
        let empty = TargetTable(mangledNames: ["nonsense", "$sSi", ""])
        #expect(empty.wireMethod(ofTarget: "$s5Probe9$CountingC3addyS2iYaKFTE") == "add(_:)")
        #expect(empty.wireMethod(ofTarget: "nonsense") == "nonsense")
        #expect(empty.wireCall(ofTarget: "$s5Probe9$CountingC3addyS2iYaKFTE").travelling(of: ["stub"]).isEmpty)
        #expect(empty.methods(ofType: "Module.Type").isEmpty)
    }

    @Test func extensionsInOtherModules() throws {
        let target = "$s5Other5OuterO5ProbeE6NestedC4take_1xAF4ArgsVAJ_AD7Result3VyAJGtYaKFTE"
        let described = TargetTable(mangledNames: [target]).methods(ofType: "Other.Outer.Nested").map(\.description)
        let args = "Other.Outer.Nested.Args"
        #expect(described == ["take(_: \(args), x: Probe.Result3<\(args)>) -> \(args)"])
    }

    struct Declaration: Sendable {
        let text: String
        let type: String
        let method: String
        var generics = 0
    }

    @Test(arguments: [
        Declaration(text: "A.Counter.plain() async throws -> ()", type: "A.Counter", method: "plain()"),
        Declaration(
            text: "(extension in B):A.Box< where A == Swift.Int>.sum(Swift.Int) async throws -> Swift.Int",
            type: "A.Box", method: "sum(_:)"),
        Declaration(
            text: "A.Box.map<A where A1: Swift.Decodable>(_: A, u: A1) async throws -> A1",
            type: "A.Box", method: "map(_:u:)", generics: 1),
        Declaration(
            text: "A.(Secret in _4ECA).tell(A.R<Swift.Int>.In) async throws -> ()",
            type: "A.Secret", method: "tell(_:)"),
        Declaration(
            text: "A.O.(Secret in _4ECA).In.tell() async throws -> ()", type: "A.Secret.In", method: "tell()"),
        Declaration(
            text: "a() async throws -> () in Loc #1 in static Q.R.q() -> Any.Type in P #1 in closure #1 () -> Any in A",
            type: "A.Loc", method: "a()"),
        Declaration(
            text: "Sub.a() async throws -> () in Loc #1 in (extension in B):A.f() -> Swift.String",
            type: "A.Loc.Sub", method: "a()"),
        Declaration(
            text: "A.C.`a.b in (c`(`x: y`: Swift.Int) async throws -> ()",
            type: "A.C", method: "`a.b in (c`(`x: y`:)"),
    ])
    func declarationsAreRead(_ declaration: Declaration) throws {
        let name = try #require(TargetName(demangled: "distributed thunk " + declaration.text))
        #expect(name.type == declaration.type)
        #expect(name.method.name == declaration.method)
        #expect(name.method.genericParameterCount == declaration.generics)
    }

    @Test(arguments: ["", "A", "(", "A.b(", "))<>", "`", "A.b(c: -> in", "A.b() in ", " in  in A", "<<"])
    func oddTextsAreNoCrash(text: String) {
        _ = TargetName(demangled: "distributed thunk " + text)
        _ = TargetName.canonical(typeName: text)
        #expect(TargetName(demangled: text) == nil)
    }
}
