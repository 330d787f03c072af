import CBOR

/// An error of the way between sites, in the form in which the errors of turns reach their callers.
enum RemoteFailure {
    static func encoded(_ message: String) -> [UInt8] {
        var writer = CBORWriter()
        writer.writeMapHeader(2)
        writer.writeText("type")
        writer.writeText("SiteError")
        writer.writeText("message")
        writer.writeText(String(message.prefix(4096)))
        return writer.bytes
    }

    /// The words of such an error, whoever wrote it.
    static func message(_ payload: [UInt8]) -> String {
        struct Written: Decodable { var message: String }
        let written = try? CBORDecoder().decode(Written.self, from: payload)
        return written.map { String($0.message.prefix(4096)) } ?? "an error that cannot be read"
    }
}
