import CBOR
import Testing

@Suite struct CodingErrorTests {
    private struct Outer: Codable {
        var items: [Inner]
    }

    private struct Inner: Codable {
        var value: Int
        var grumpy: Grumpy?
        var event: Event?
    }

    struct Grumble: Error, Equatable {}

    private struct Grumpy: Codable {
        init() {}

        init(from decoder: any Decoder) throws {
            throw Grumble()
        }

        func encode(to encoder: any Encoder) throws {
            throw Grumble()
        }
    }

    @Test func pathsLeadToTheFailure() throws {
        let decoder = CBORDecoder()
        let missing = try CBOREncoder().encode(["items": [["value": 1], ["other": 2]]])
        var error = #expect(throws: CBORError.self) { try decoder.decode(Outer.self, from: missing) }
        #expect(error?.code == .keyNotFound)
        #expect(error?.codingPath == ["items", "1"])
        #expect(error?.message.contains("\"value\"") == true)
        let wrong = try CBOREncoder().encode(["items": [["value": "text"]]])
        error = #expect(throws: CBORError.self) { try decoder.decode(Outer.self, from: wrong) }
        #expect(error?.code == .typeMismatch)
        #expect(error?.codingPath == ["items", "0", "value"])
        #expect(error?.offset == 15)
    }

    @Test func errorsOfUserCodeAreWrapped() throws {
        let value = Outer(items: [Inner(value: 1), Inner(value: 2, grumpy: Grumpy())])
        var error = #expect(throws: CBORError.self) { try CBOREncoder().encode(value) }
        #expect(error?.code == .userCode)
        #expect(error?.codingPath == ["items", "1", "grumpy"])
        #expect(error?.underlying as? Grumble == Grumble())
        let bytes = try CBOREncoder().encode(["items": [["value": 1, "grumpy": 5]]])
        error = #expect(throws: CBORError.self) { try CBORDecoder().decode(Outer.self, from: bytes) }
        #expect(error?.code == .userCode)
        #expect(error?.codingPath == ["items", "0", "grumpy"])
        #expect(error?.underlying as? Grumble == Grumble())
    }

    @Test func errorsInNestedContainersHaveTheirPath() throws {
        let value = try CBORValue(parsingJSON: #"{"items": [{"value": 1, "event": {"moved": {"x": 1, "y": true}}}]}"#)
        let error = #expect(throws: CBORError.self) { try CBORDecoder().decode(Outer.self, from: value.encoded()) }
        #expect(error?.codingPath == ["items", "0", "event", "moved", "y"])
    }

    @Test func codingPathsAreKnownWhileEncoding() throws {
        struct Recorder: Encodable {
            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                try container.encode(encoder.codingPath.map(\.stringValue).joined(separator: "."))
            }
        }
        struct Nest: Encodable {
            enum CodingKeys: CodingKey { case deep }
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: CodingKeys.self)
                var list = container.nestedUnkeyedContainer(forKey: .deep)
                try list.encode(1)
                try list.encode([7: Recorder()])
            }
        }
        #expect(
            CBORValue.diagnostic(of: try CBOREncoder().encode(["a": [Nest()]]))
                == #"{"a": [{"deep": [1, {7: "a.0.deep.1.7"}]}]}"#)
    }

    /// A value that failed leaves nothing behind when its owner goes on.
    @Test func failuresThatAreCaughtAreUndone() throws {
        struct Forgiving: Encodable {
            enum CodingKeys: CodingKey { case a, b, c }
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: CodingKeys.self)
                try container.encode(1, forKey: .c)
                try? container.encode([Grumpy()], forKey: .b)
                var list = container.nestedUnkeyedContainer(forKey: .a)
                try? list.encode(Grumpy())
                try list.encode("kept")
            }
        }
        #expect(CBORValue.diagnostic(of: try CBOREncoder().encode(Forgiving())) == #"{"a": ["kept"], "c": 1}"#)
    }

    @Test func misuseIsAnError() {
        struct Twice: Encodable {
            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                try container.encode(1)
                try container.encode(2)
            }
        }
        struct Both: Encodable {
            func encode(to encoder: any Encoder) throws {
                var list = encoder.unkeyedContainer()
                try list.encode(1)
                _ = encoder.container(keyedBy: Name.self)
            }
        }
        final class Leak {
            var container: (any UnkeyedEncodingContainer)?
        }
        struct Leaky: Encodable {
            let leak: Leak
            func encode(to encoder: any Encoder) throws {
                leak.container = encoder.unkeyedContainer()
            }
        }
        #expect(codeThrown { _ = try CBOREncoder().encode(Twice()) } == .invalidUse)
        #expect(codeThrown { _ = try CBOREncoder().encode(Both()) } == .invalidUse)
        let leak = Leak()
        #expect(codeThrown { _ = try CBOREncoder().encode(Leaky(leak: leak)) } == nil)
        #expect(codeThrown { try leak.container?.encode(1) } == .invalidUse)
        #expect(leak.container?.count == 0)
    }

    @Test func arraysThatAreTooShort() {
        struct Pair: Decodable {
            init(from decoder: any Decoder) throws {
                var list = try decoder.unkeyedContainer()
                _ = try list.decode(Int.self)
                _ = try list.decode(Int.self)
            }
        }
        let error = #expect(throws: CBORError.self) { try CBORDecoder().decode(Pair.self, from: bytes("8101")) }
        #expect(error?.code == .keyNotFound)
        #expect(error?.codingPath == ["1"])
    }
}
