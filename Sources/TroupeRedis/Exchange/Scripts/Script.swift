internal import TroupeCore

/// A server-side function: some operations over the keys of one shard.
enum Script: String, CaseIterable, Hashable, Sendable {
    case send, callers, claim, workers, commit, tick, operate, across, moving, inspect, open

    /// Whether its reply comes with the shard's marks; one that changes nothing has none.
    var isMarked: Bool { self != .inspect }

    /// Whether some of its operations bring something that was not there before.
    fileprivate var mayGrow: Bool { [.send, .callers, .commit, .across, .operate].contains(self) }

    /// What the server lets it do. What empties a full server has to run there.
    fileprivate var flag: String { self == .inspect ? "no-writes" : "allow-oom" }

    /// Defines `serve.NAME`.
    fileprivate var source: String {
        switch self {
        case .send: Sending.send
        case .callers: Sending.callers
        case .claim: Leases.claim
        case .workers: Leases.workers
        case .commit: Turns.commit
        case .tick: Time.tick
        case .operate: Operators.operate
        case .across: Across.operations
        case .moving: Moving.operations
        case .inspect: Operators.inspect
        case .open: Opening.open
        }
    }
}

/// All scripts as one library of functions, which a server makes once and keeps: a script that is sent by its digest makes
/// its Lua functions anew each time it runs, which took a third of its time.
///
/// The text holds the limits too, and its name a fingerprint of the text: programs of several versions use one server side
/// by side.
struct ScriptLibrary: Sendable {
    let name: String
    /// What `FUNCTION LOAD` takes.
    let code: String
    private let body: String

    init(_ limits: ShardLimits) {
        body = Self.body(limits)
        let text = body + Self.registrations("")
        let high = Fingerprint.of(text.utf8)
        let low = Fingerprint.of(text.utf8, seed: high)
        name = "troupe_" + String(high, radix: 36) + String(low, radix: 36)
        code = "#!lua name=\(name)\n" + body + Self.registrations(name)
    }

    private static func registrations(_ library: String) -> String {
        Script.allCases.map { script in
            let lenient = registration(script, library, flags: "'\(script.flag)'")
            return script.mayGrow ? lenient + registration(script, library, suffix: growing, flags: "") : lenient
        }.joined()
    }

    /// Of a function that a full server refuses before it begins.
    private static let growing = "_growing"

    private static func registration(
        _ script: Script, _ library: String, suffix: String = "", flags: String
    ) -> String {
        """
        redis.register_function({
          function_name = '\(library)_\(script.rawValue)\(suffix)', flags = { \(flags) },
          callback = function(keys, given)
            \(run(script))
          end
        })

        """
    }

    /// The name by which a script is called.
    ///
    /// - Parameter grows: whether it brings something new, which a server whose memory is full is to refuse.
    func function(_ script: Script, grows: Bool) -> RedisArgument {
        .string("\(name)_\(script.rawValue)\(grows && script.mayGrow ? Self.growing : "")")
    }

    private static func run(_ script: Script, keys: String = "keys", given: String = "given") -> String {
        let answer = script.isMarked ? "run(serve.\(script.rawValue))" : "serve.\(script.rawValue)()"
        return "begin(\(keys), \(given), \(!script.isMarked))\nreturn \(answer)"
    }

    /// The same as a script to evaluate, when a command met a key of the wrong type, to learn which one: what failed is run
    /// again, and fails again, at the same place.
    func explanation(of script: Script) -> String {
        Prelude.explaining + body + Self.run(script, keys: "KEYS", given: "ARGV") + "\n"
    }

    private static func body(_ limits: ShardLimits) -> String {
        let shared = [
            constants(limits), Prelude.source, Objects.source, Outcomes.source, Moving.source, Mailboxes.source,
            Endings.source,
            Across.outbox, "local serve = {}\n",
        ]
        return (shared + Script.allCases.map { "do\n\($0.source)\nend\n" }).joined()
    }

    /// Under a clock that a test holds nothing may expire by the server's own.
    private static let manualClockReserve = Duration.seconds(24 * 3600)

    private static func constants(_ limits: ShardLimits) -> String {
        let retention = limits.outcomeRetention.wholeMilliseconds
        return """
            local limits = {
              carrierQueue = '\(ActorID.carrierPool)/\(ActorID.siteType)',
              envelopeSizeBytesMax = \(limits.envelopeSizeBytesMax), outcomeRetention = \(retention),
              outcomesMax = \(max(0, limits.outcomesMax)), receiptsMax = \(max(0, limits.receiptsMax)),
              blockedClientsMax = \(limits.blockedClientsMax), watchersMax = \(limits.watchersMax),
              clientRetention = \(max(1, limits.clientRetention.wholeMilliseconds)),
              outboxCountMax = \(limits.outboxCountMax), outboxSizeBytesMax = \(limits.outboxSizeBytesMax),
              keepsMax = \(limits.keepsMax), outboxActorCountMax = \(limits.outboxActorCountMax),
              owedRetention = \(limits.owedRetention.wholeMilliseconds), owedCountMax = \(limits.owedCountMax),
              owedSizeBytesMax = \(limits.owedSizeBytesMax), broughtMax = \(MailboxMachine.broughtMax),
              retentionMin = \(max(1, retention)),
              retentionHeld = \(max(1, retention) + manualClockReserve.wholeMilliseconds),
            }

            """
    }
}

extension Prelude {
    fileprivate static let explaining = #"""
        local redis = setmetatable({
          call = function(command, ...)
            local reply = redis.pcall(command, ...)
            if type(reply) == 'table' and reply.err then
              error({ err = 'EXPLAINED ' .. command .. ' ' .. tostring(...) .. ' ' .. reply.err })
            end
            return reply
          end
        }, { __index = redis })

        """#
}
