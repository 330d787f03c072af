import ArgumentParser
import FoundationEssentials
import TroupeCore
import TroupeEndpoint

/// The conditions of a capability, as words.
struct ConditionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A method, by its full name; may be repeated.", valueName: "method(_:)"))
    var method: [String] = []
    @Option(help: ArgumentHelp("How long it holds from now, by this machine's clock.", valueName: "duration"))
    var expires: DurationText?
    @Option(help: ArgumentHelp("The only site that may use it.", valueName: "site")) var from: String?

    var conditions: [Capability.Condition] {
        var conditions: [Capability.Condition] = []
        if !method.isEmpty { conditions.append(.methods(method)) }
        if let expires { conditions.append(.before((SystemClock().now() + expires.duration).milliseconds)) }
        if let from { conditions.append(.from(from)) }
        return conditions
    }
}

struct EndpointGrant: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Print a capability: the right to call an actor of this site.",
        discussion: """
            Whoever holds the text may do what it allows, whatever the trust file says of his site, and can narrow it \
            further. It is a secret; it cannot be called back before it expires, except by a new key of the endpoint.

            EXAMPLES
              troupe endpoint grant Counter/hits --method 'add(_:)' --expires 7d --from lab-b
              troupe endpoint grant Counter --expires 1h                       all actors of a type
            """)

    @Argument(help: "The actor, TYPE/NAME, or all of a TYPE.") var actor: String
    @OptionGroup var with: ConditionOptions
    @OptionGroup var options: EndpointOptions

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        var capability = Capability(site: try home.settings().site, by: try EndpointKey.load(from: home.keyFile))
        if actor.contains("/") {
            let id = try ActorID(parsing: actor)
            capability = try capability.narrowed(by: .actor(id.key))
        } else {
            capability = try capability.narrowed(by: .type(actor))
        }
        for condition in with.conditions { capability = try capability.narrowed(by: condition) }
        try terminal.print(capability.text)
    }
}

struct EndpointNarrow: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "narrow", abstract: "Print a narrower capability, to hand on; no key is needed.",
        discussion: """
            EXAMPLE
              troupe endpoint narrow --method 'read()' --expires 10m < capability > for-bert
            """)

    @OptionGroup var with: ConditionOptions
    @OptionGroup var options: EndpointOptions

    func validate() throws {
        guard !with.conditions.isEmpty else { throw ValidationError("name a condition: --method, --expires or --from") }
    }

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        // By standard input: others can read the words of a process.
        let text = String(decoding: FileHandleInput.standard(upTo: 16 << 10), as: UTF8.self)
        var capability = try Capability(parsing: text.filter { !$0.isWhitespace })
        for condition in with.conditions { capability = try capability.narrowed(by: condition) }
        try terminal.print(capability.text)
    }
}

/// Standard input, whole.
private enum FileHandleInput {
    static func standard(upTo countMax: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < countMax, let line = readLine(strippingNewline: false) { bytes += Array(line.utf8) }
        return bytes
    }
}
