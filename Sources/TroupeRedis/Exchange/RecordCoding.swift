internal import CBOR
internal import TroupeCore

/// Parts of records that scripts store and hand out but never read, as CBOR written by hand: options, what an actor was
/// registered with, types and workers.
enum RecordCoding {
    private static func write(_ duration: Duration, to writer: inout CBORWriter) {
        writer.writeInt(duration.components.seconds)
        writer.writeInt(duration.components.attoseconds)
    }

    private static func readDuration(_ reader: inout CBORReader) throws -> Duration {
        Duration(secondsComponent: try reader.readInt64(), attosecondsComponent: try reader.readInt64())
    }

    private static func write(_ options: ActorOptions, to writer: inout CBORWriter) {
        writer.writeInt(options.mailboxCountMax)
        writer.writeInt(options.mailboxSizeBytesMax)
        writer.writeInt(options.attemptsMax)
        write(options.backoffBase, to: &writer)
        write(options.backoffMax, to: &writer)
        writer.writeBool(options.isReentrant)
    }

    private static func readOptions(_ reader: inout CBORReader) throws -> ActorOptions {
        var options = ActorOptions()
        options.mailboxCountMax = try reader.readInt()
        options.mailboxSizeBytesMax = try reader.readInt()
        options.attemptsMax = try reader.readInt()
        options.backoffBase = try readDuration(&reader)
        options.backoffMax = try readDuration(&reader)
        options.isReentrant = try reader.readBool()
        return options
    }

    private static func write(_ texts: [String], to writer: inout CBORWriter) {
        writer.writeArrayHeader(texts.count)
        for text in texts { writer.writeText(text) }
    }

    private static func readTexts(_ reader: inout CBORReader) throws -> [String] {
        var texts: [String] = []
        for _ in 0..<(try reader.readArrayHeader()) { texts.append(try reader.readText()) }
        return texts
    }

    private static func reading<Value>(
        _ bytes: [UInt8], _ what: String, _ read: (inout CBORReader) throws -> Value
    ) throws(ExchangeError) -> Value {
        var reader = CBORReader(bytes)
        do { return try read(&reader) } catch {
            throw ExchangeError(.corrupt, "the stored description of \(what) cannot be read: \(error)")
        }
    }

    // MARK: Actors

    struct About {
        var pool: String
        var labels: [String: String]
        var options: ActorOptions
    }

    static func encode(_ registration: ActorRegistration) -> [UInt8] {
        var writer = CBORWriter(capacity: 96)
        writer.writeText(registration.pool)
        writer.writeMapHeader(registration.labels.count)
        for (name, value) in registration.labels {
            writer.writeText(name)
            writer.writeText(value)
        }
        write(registration.options, to: &writer)
        return writer.bytes
    }

    static func about(_ bytes: [UInt8]) throws(ExchangeError) -> About {
        try reading(bytes, "an actor") { reader in
            let pool = try reader.readText()
            var labels: [String: String] = [:]
            for _ in 0..<(try reader.readMapHeader()) {
                let name = try reader.readText()
                labels[name] = try reader.readText()
            }
            return About(pool: pool, labels: labels, options: try readOptions(&reader))
        }
    }

    // MARK: Types

    static func encode(_ type: TypeDescription) -> [UInt8] {
        var writer = CBORWriter(capacity: 256)
        writer.writeText(type.name)
        writer.writeArrayHeader(type.methods.count)
        for method in type.methods {
            writer.writeText(method.name)
            write(method.labels, to: &writer)
            writer.writeText(method.signature)
        }
        if let state = type.initialState { writer.writeBytes(state) } else { writer.writeNull() }
        write(type.options, to: &writer)
        writer.writeBool(type.isEager)
        return writer.bytes
    }

    static func type(_ bytes: [UInt8]) throws(ExchangeError) -> TypeDescription {
        try reading(bytes, "an actor type") { reader in
            let name = try reader.readText()
            var methods: [MethodDescription] = []
            for _ in 0..<(try reader.readArrayHeader()) {
                let name = try reader.readText()
                methods.append(
                    MethodDescription(name: name, labels: try readTexts(&reader), signature: try reader.readText()))
            }
            let state = try reader.readNullIfPresent() ? nil : Array(reader.readBytes())
            return TypeDescription(
                name: name, methods: methods, initialState: state, options: try readOptions(&reader),
                isEager: try reader.readBool())
        }
    }

    // MARK: Workers

    struct WorkerAbout {
        var pools: [String]
        var types: [String]
        var host: String
        var pid: Int
        var activationsMax: Int
        var direct: DirectAddress?
    }

    static func encode(_ registration: WorkerRegistration) -> [UInt8] {
        var writer = CBORWriter(capacity: 128)
        write(registration.pools, to: &writer)
        write(registration.types.map(\.name), to: &writer)
        writer.writeText(registration.host)
        writer.writeInt(registration.pid)
        writer.writeInt(registration.activationsMax)
        if let direct = registration.direct {
            writer.writeText(direct.path)
            writer.writeBytes(direct.token)
        }
        return writer.bytes
    }

    static func worker(_ bytes: [UInt8]) throws(ExchangeError) -> WorkerAbout {
        try reading(bytes, "a worker") { reader in
            var about = WorkerAbout(
                pools: try readTexts(&reader), types: try readTexts(&reader), host: try reader.readText(),
                pid: try reader.readInt(), activationsMax: try reader.readInt())
            if !reader.isAtEnd {
                about.direct = DirectAddress(path: try reader.readText(), token: Array(try reader.readBytes()))
            }
            return about
        }
    }
}
