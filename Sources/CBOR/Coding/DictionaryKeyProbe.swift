/// Finds the coding key type of the standard library's dictionaries, which has no public name.
///
/// Those keys have an integer value also where the dictionary's keys are strings of digits. So only for this key type
/// the encoder has to ask what kind of dictionary it is about to write; every other keyed container is spared that.
enum DictionaryKeyProbe {
    static let keyType: ObjectIdentifier? = {
        let sink = EncodingSink(writer: CBORWriter(), userInfo: [:], depthMax: 1)
        sink.isProbe = true
        try? sink.encode([String: Int]())
        return sink.probedKeyType
    }()
}
