internal import TroupeCore

/// A server-side script: some operations over the keys of one shard. Its text holds the limits too, so that another
/// text, hence another digest, means another version.
enum Script: String, CaseIterable, Hashable, Sendable {
    case send, callers, claim, workers, commit, tick, operate, across, inspect, open

    /// Whether its reply comes with the shard's marks; one that changes nothing has none.
    var isMarked: Bool { self != .inspect }

    func source(_ limits: ShardLimits, isExplaining: Bool = false) -> String {
        let head = isExplaining ? Prelude.explaining : ""
        return Self.constants(limits) + head + Self.nested(parts[...])
    }

    /// Each part inside a function of the one before. A script makes its functions anew each time it runs, and making
    /// one takes the longer the more locals its surroundings hold: this way a quarter less.
    private static func nested(_ parts: ArraySlice<String>) -> String {
        guard let first = parts.first, parts.count > 1 else { return parts.joined() }
        return first + "return (function()\n" + nested(parts.dropFirst()) + "\nend)()\n"
    }

    private var parts: [String] {
        let sending = [Prelude.source, Objects.source, Outcomes.source, Mailboxes.source]
        let ending = sending + [Endings.source]
        return switch self {
        case .send: sending + [Sending.send]
        case .callers: sending + [Sending.callers]
        case .claim: sending + [Leases.claim]
        case .workers: ending + [Leases.workers]
        case .commit: ending + [Across.outbox, Turns.commit]
        case .tick: ending + [Time.tick]
        case .operate: ending + [Across.outbox, Operators.operate]
        case .across: ending + [Across.outbox, Across.operations]
        case .inspect: sending + [Operators.inspect]
        case .open: ending + [Opening.open]
        }
    }

    /// Under a clock that a test holds nothing may expire by the server's own.
    static let manualClockReserve = Duration.seconds(24 * 3600)

    private static func constants(_ limits: ShardLimits) -> String {
        let retention = limits.outcomeRetention.wholeMilliseconds
        return """
            local limits = {
              envelopeSizeBytesMax = \(limits.envelopeSizeBytesMax), outcomeRetention = \(retention),
              outcomesMax = \(max(0, limits.outcomesMax)), receiptsMax = \(max(0, limits.receiptsMax)),
              blockedClientsMax = \(limits.blockedClientsMax), watchersMax = \(limits.watchersMax),
              clientRetention = \(max(1, limits.clientRetention.wholeMilliseconds)),
              outboxCountMax = \(limits.outboxCountMax), outboxSizeBytesMax = \(limits.outboxSizeBytesMax),
              outboxActorCountMax = \(limits.outboxActorCountMax),
            }
            limits.outcomeKeyRetention = ARGV[1] == '' and math.max(1, limits.outcomeRetention)
              or math.max(1, limits.outcomeRetention) + \(manualClockReserve.wholeMilliseconds)

            """
    }
}

extension Prelude {
    /// Goes before the prelude when a command met a key of the wrong type, to learn which one: the failed script is run
    /// again, and fails again, at the same place.
    static let explaining = #"""
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
