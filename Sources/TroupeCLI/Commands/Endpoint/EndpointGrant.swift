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

    func validate() throws {
        for name in method where MethodLookup.described(name) == nil {
            throw ValidationError("'\(name)' is no full name of a method, as in 'add(_:)'")
        }
        if let expires, expires.duration <= .zero { throw ValidationError("--expires takes more than nothing") }
        if let from {
            do { try TrustFile.checkSite(from) } catch { throw ValidationError("--from: \(error.message)") }
        }
    }

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
        capability = try capability.narrowed(by: try subject(of: capability.site))
        for condition in with.conditions { capability = try capability.narrowed(by: condition) }
        try CapabilityView.print(capability, to: terminal, json: options.json)
    }

    /// Whom it is for.
    private func subject(of own: String) throws -> Capability.Condition {
        do {
            guard actor.contains("/") else { return .type(try ActorID(type: actor, name: "any").type) }
            let id = try ActorID(parsing: actor)
            guard id.site.isEmpty || id.site == own else {
                throw Failure(.usage, "\(id) is not of this site, which is '\(own)': its own site grants it")
            }
            return .actor(try ActorID(type: id.type, name: id.name).key)
        } catch let error as ExchangeError {
            throw Failure(.usage, error.message)
        }
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
        try CapabilityView.print(capability, to: terminal, json: options.json)
    }
}

private enum CapabilityView {
    struct Row: Encodable { var capability: String }

    static func print(_ capability: Capability, to terminal: Terminal, json: Bool) throws {
        let text = try capability.text
        if json { try terminal.print(json: Row(capability: text)) } else { try terminal.print(text) }
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
