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
}
