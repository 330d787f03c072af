import CBOR
import TroupeCore

/// An outcome as it is printed: a result as JSON where it can be, an error as its message.
struct OutcomeText: Encodable, Equatable {
    var id: String
    var status: String
    /// The result as JSON, if it can be said in JSON.
    var result: JSONValue?
    /// The result in diagnostic notation, if it cannot.
    var resultText: String?
    var errorType: String?
    var errorMessage: String?

    init(id: CallID, outcome: Outcome) {
        self.id = id.text
        status = outcome.status.rawValue
        switch outcome.status {
        case .committed: readResult(outcome.payload)
        case .failed: readError(outcome.payload)
        case .deadLettered: errorMessage = String(decoding: outcome.payload, as: UTF8.self)
        case .pending, .expired, .cancelled, .unknown: break
        }
    }

    /// Bytes of a result that JSON cannot say.
    private static let resultBytesMax = 64 << 10

    private mutating func readResult(_ payload: [UInt8]) {
        if payload == SiteRequest.taken {
            resultText = "in its mailbox at the other site; add --site SITE to ask what became of it there"
        } else if let value = try? CBORValue(decoding: payload), ProxyText(value) == nil, let json = JSONValue(value) {
            result = json
        } else {
            resultText = ValueText(encoded: payload, limitBytes: Self.resultBytesMax).text
        }
    }

    private mutating func readError(_ payload: [UInt8]) {
        let fields = try? CBORValue(decoding: payload)
        errorType = fields?["type"]?.asText
        errorMessage = fields?["message"]?.asText ?? ValueText(encoded: payload, limitBytes: 1000).text
    }

    /// The result on one line, as `actor call` prints it.
    var resultLine: String {
        get throws { try result.map { try JSONText.of($0) } ?? resultText ?? "" }
    }

    /// What the command ends with, unless the call committed.
    func failure(of what: String) -> Failure? {
        let ask = "'troupe call status \(id)'"
        switch status {
        case Outcome.Status.committed.rawValue: return nil
        case Outcome.Status.failed.rawValue:
            let message = errorMessage ?? "no message"
            // The text of an error that has no words of its own begins with its type; those with @ are the runtime's own.
            let type = errorType.flatMap { message.hasPrefix($0) || $0.hasPrefix("@") ? nil : "\($0): " } ?? ""
            return Failure(.refused, "\(what) failed: \(type)\(message)")
        case Outcome.Status.deadLettered.rawValue:
            return Failure(
                .refused, "\(what) was put aside: \(errorMessage ?? "no reason"); see 'troupe mailbox dead ls'")
        case Outcome.Status.expired.rawValue:
            return Failure(.unavailable, "\(what) was not run before its deadline")
        case Outcome.Status.cancelled.rawValue: return Failure(.refused, "\(what) was cancelled")
        case Outcome.Status.pending.rawValue: return Failure(.unavailable, "\(what) is still pending; ask \(ask) later")
        default:
            return Failure(.refused, "\(what) is unknown: no such id, or its outcome is no longer kept")
        }
    }
}
