internal import TroupeCore

extension ScriptCall {
    /// One script call each, never several: what follows a message that found no room must not be tried after it.
    static func across(_ operation: Operation) -> ScriptCall {
        ScriptCall(.across, operation) { writer in
            switch operation {
            case .condemn(let ids, let mark), .condemned(let ids, let mark):
                writer.put("ids", ids)
                writer.put("mark", mark)
            case .keep(let ids, let holder, let duration):
                writer.put("ids", ids)
                writer.put("holder", holder)
                writer.put("duration", duration.wholeMilliseconds)
            case .acquit(let ids, let mark, let recheck):
                writer.put("ids", ids)
                writer.put("mark", mark)
                writer.put("recheck", recheck.wholeMilliseconds)
            case .outbox(let destination, let after, let only, let limit):
                writer.put("to", destination)
                writer.put("start", after?.key)
                writer.put("only", only?.key)
                writer.put("limit", min(max(limit, 1), OutboxPage.countMax))
                writer.put("size", OutboxPage.sizeBytesMax)
            case .forward(let entries, let source):
                writer.put("from", source)
                writer.put("entries", entries) { writer, entry in
                    let first = writer.blob(header(of: entry.envelope))
                    writer.blob(entry.envelope.encoded())
                    writer.map { writer in
                        writer.put("number", entry.number)
                        writer.put("requeued", entry.isRequeued)
                        writer.put("wanted", entry.wantsOutcome)
                        writer.put("former", entry.formerSite)
                        writer.put("first", first)
                    }
                }
            case .brought(let ids, let source, let below):
                writer.put("ids", ids.map(\.text))
                writer.put("from", source)
                // Exact in the scripts' numbers.
                writer.put("below", min(below, 1 << 53))
            case .settleOutbox(let settlements):
                writer.put("settled", settlements) { writer, settlement in
                    let refusal = settlement.refusal.map { writer.blob(Array($0.utf8)) }
                    writer.map { writer in
                        writer.put("key", settlement.target.key)
                        writer.put("number", settlement.number)
                        writer.put("refusal", refusal.map { Int64($0) })
                    }
                }
            default: preconditionFailure("\(operation.name) is not between shards")
            }
        }
    }
}
