import CBOR
import TroupeCore

/// An error of the way between sites, in the form in which the errors of turns reach their callers.
enum RemoteFailure {
    static func encoded(_ message: String, type: String = "SiteError") -> [UInt8] {
        var writer = CBORWriter()
        writer.writeMapHeader(2)
        writer.writeText("type")
        writer.writeText(type)
        writer.writeText("message")
        writer.writeText(String(message.prefix(4096)))
        return writer.bytes
    }

    /// That another site has put a call aside. The caller gets it as the error of a call that was put aside at home.
    static func encoded(putAside call: SentCall, at site: String, _ reason: String) -> [UInt8] {
        let actor = "\(call.target.type)/\(call.target.name)"
        return encoded(
            "site \(site) has put call \(call.id) of \(actor) aside: \(reason.prefix(2048)); it lies there: "
                + "'troupe mailbox dead ls \(actor)' at that site shows it, and 'requeue' runs it, of which this caller is "
                + "not told", type: SiteRequest.deadLettered)
    }

    /// The words of such an error, whoever wrote it.
    static func message(_ payload: [UInt8]) -> String {
        struct Written: Decodable { var message: String }
        let written = try? CBORDecoder().decode(Written.self, from: payload)
        return written.map { String($0.message.prefix(4096)) } ?? "an error that cannot be read"
    }
}
