internal import TroupeCore

/// A server-side function: some operations over the keys of one shard.
enum Script: String, CaseIterable, Hashable, Sendable {
    case send, callers, claim, workers, commit, tick, operate, across, inspect, open

    /// Whether its reply comes with the shard's marks; one that changes nothing has none.
    var isMarked: Bool { self != .inspect }

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
        let high = Fingerprint.of(body.utf8)
        let low = Fingerprint.of(body.utf8, seed: high)
        let name = "troupe_" + String(high, radix: 36) + String(low, radix: 36)
        self.name = name
        let functions = Script.allCases.map { script in
            """
            redis.register_function('\(Self.function(script, of: name))', function(keys, given)
              begin(keys, given)
              return \(Self.answer(script))
            end)

            """
        }
        code = "#!lua name=\(name)\n" + body + functions.joined()
        calls = Dictionary(
            uniqueKeysWithValues: Script.allCases.map { ($0, .string(Self.function($0, of: name))) })
    }

    private let calls: [Script: RedisArgument]

    /// The name by which a script is called.
    func function(_ script: Script) -> RedisArgument { calls[script] ?? .string(Self.function(script, of: name)) }

    private static func function(_ script: Script, of library: String) -> String { "\(library)_\(script.rawValue)" }

    private static func answer(_ script: Script) -> String {
        script.isMarked ? "run(serve.\(script.rawValue))" : "serve.\(script.rawValue)()"
    }

    /// The same as a script to evaluate, when a command met a key of the wrong type, to learn which one: what failed is run
    /// again, and fails again, at the same place.
    func explanation(of script: Script) -> String {
        Prelude.explaining + body + "begin(KEYS, ARGV)\nreturn \(Self.answer(script))\n"
    }

    private static func body(_ limits: ShardLimits) -> String {
        let shared = [
            constants(limits), Prelude.source, Objects.source, Outcomes.source, Mailboxes.source, Endings.source,
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
              envelopeSizeBytesMax = \(limits.envelopeSizeBytesMax), outcomeRetention = \(retention),
              outcomesMax = \(max(0, limits.outcomesMax)), receiptsMax = \(max(0, limits.receiptsMax)),
              blockedClientsMax = \(limits.blockedClientsMax), watchersMax = \(limits.watchersMax),
              clientRetention = \(max(1, limits.clientRetention.wholeMilliseconds)),
              outboxCountMax = \(limits.outboxCountMax), outboxSizeBytesMax = \(limits.outboxSizeBytesMax),
              outboxActorCountMax = \(limits.outboxActorCountMax), retentionMin = \(max(1, retention)),
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
