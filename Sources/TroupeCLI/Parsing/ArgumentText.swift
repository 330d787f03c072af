import CBOR

/// Values on the command line: JSON where it is JSON, else the text itself.
enum ArgumentText {
    /// The value of a word. For a parameter that is known to be text, `5` and `true` are text, too.
    static func value(_ word: String, isText: Bool = false) -> CBORValue {
        guard !isText || word.hasPrefix("\"") else { return .text(word) }
        return (try? CBORValue(parsingJSON: word)) ?? .text(word)
    }

    /// The arguments field of an envelope: a CBOR array of the values in order.
    static func encode(_ values: [CBORValue]) throws(Failure) -> [UInt8] {
        do {
            return try CBORValue.array(values).encoded()
        } catch {
            throw Failure(.usage, "the arguments cannot be encoded: \(error.message)")
        }
    }

    /// A state given as JSON.
    static func state(json text: String) throws(Failure) -> [UInt8] {
        do {
            return try CBORValue(parsingJSON: text).encoded()
        } catch {
            throw Failure(.usage, "--state is not JSON: \(error.message)")
        }
    }
}
