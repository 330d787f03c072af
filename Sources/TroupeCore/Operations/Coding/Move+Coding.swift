import CBOR

extension ActorMove {
    func write(to writer: inout CBORWriter) {
        writer.writeArrayHeader(4)
        writer.writeText(site)
        writer.writeUnsigned(number)
        writer.writeText(phase.rawValue)
        if let reason { writer.writeText(reason) } else { writer.writeNull() }
    }

    init(reading reader: inout CBORReader) throws {
        try reader.readArray(of: 4)
        let site = try reader.readText()
        let number = try reader.readUnsigned()
        let word = try reader.readText()
        guard let phase = Phase(rawValue: word) else {
            throw ExchangeError(.unsupportedVersion, "a move is '\(word)', which this version does not know")
        }
        self.init(
            site: site, number: number, phase: phase,
            reason: try reader.readNullIfPresent() ? nil : reader.readText())
    }
}
