import CBOR
import TroupeCore

/// A thrown error on its way to the caller: `{"type", "message", "name"?, "value"?}`. The value is there when the error is
/// Codable; a caller that has the type gets it back as it was thrown.
enum Failure {
    static func encode(_ error: any Error, with encoder: CBOREncoder) -> [UInt8] {
        let type = type(of: error)
        let value = (error as? any Error & Encodable).flatMap { try? encoder.encode($0) }
        let name = value == nil ? nil : _mangledTypeName(type)
        var writer = CBORWriter()
        writer.writeMapHeader(name == nil ? 2 : 4)
        writer.writeText("type")
        writer.writeText("\(type)")
        writer.writeText("message")
        writer.writeText(String(String(describing: error).prefix(4096)))
        if let name, let value {
            writer.writeText("name")
            writer.writeText(name)
            writer.writeText("value")
            writer.writeEncoded(value)
        }
        return writer.bytes
    }

    /// The error as its type if this process has it, else a ``RemoteError``.
    static func decode<Err: Error>(
        _ payload: [UInt8], expecting: Err.Type, actor: ActorID, method: String, call: CallID? = nil,
        with decoder: CBORDecoder
    ) -> any Error {
        guard let fields = try? read(payload) else {
            return RemoteError(
                typeName: "Error", message: "an error that cannot be read", actor: actor, method: method)
        }
        if fields.type == SiteRequest.deadLettered { return TroupeError(.deadLettered, fields.message, call: call) }
        if let value = fields.value {
            if let known = Err.self as? any (Error & Decodable).Type, "\(known)" == fields.type,
                let error = try? decode(known, value, decoder)
            {
                return error
            }
            if let name = fields.name, let type = TypeNames.type(named: name) as? any (Error & Decodable).Type,
                let error = try? decode(type, value, decoder)
            {
                return error
            }
        }
        return RemoteError(typeName: fields.type, message: fields.message, actor: actor, method: method)
    }

    private static func decode<E: Error & Decodable>(
        _ type: E.Type, _ value: [UInt8], _ decoder: CBORDecoder
    ) throws -> any Error {
        try decoder.decode(type, from: value)
    }

    private struct Fields {
        var type = "Error"
        var message = ""
        var name: String?
        var value: [UInt8]?
    }

    private static func read(_ payload: [UInt8]) throws -> Fields {
        var reader = CBORReader(payload)
        var fields = Fields()
        for _ in 0..<(try reader.readMapHeader()) {
            switch try reader.readText() {
            case "type": fields.type = try reader.readText()
            case "message": fields.message = try reader.readText()
            case "name": fields.name = try reader.readText()
            case "value": fields.value = Array(try reader.readEncoded())
            default: try reader.skip()
            }
        }
        return fields
    }
}
