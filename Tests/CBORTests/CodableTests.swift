import CBOR
import Testing

struct Plain: Codable, Equatable {
    var id: Int
    var name: String
    var score: Double
    var isActive: Bool
    var note: String?
}

enum Event: Codable, Equatable {
    case started
    case moved(x: Int, y: Int)
    case named(String)
    indirect case both(Event, Event)
    case carried(Plain, weights: [Double]?)
}

class Animal: Codable {
    var name: String

    init(name: String) {
        self.name = name
    }
}

final class Dog: Animal {
    var tricks: [String]

    private enum CodingKeys: String, CodingKey {
        case tricks
    }

    init(name: String, tricks: [String]) {
        self.tricks = tricks
        super.init(name: name)
    }

    required init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        tricks = try container.decode([String].self, forKey: .tricks)
        try super.init(from: container.superDecoder())
    }

    override func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        // The place of the superclass is taken before, and filled after, another value.
        let superEncoder = container.superEncoder()
        try container.encode(tricks, forKey: .tricks)
        try super.encode(to: superEncoder)
    }
}

/// Shares its superclass's container.
final class Cat: Animal {
    var lives: Int

    private enum CodingKeys: CodingKey {
        case lives
    }

    init(name: String, lives: Int) {
        self.lives = lives
        super.init(name: name)
    }

    required init(from decoder: any Decoder) throws {
        lives = try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .lives)
        try super.init(from: decoder)
    }

    override func encode(to encoder: any Encoder) throws {
        try super.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(lives, forKey: .lives)
    }
}

/// Fills two nested containers in turns.
struct Interleaved: Codable, Equatable {
    var left: [Int]
    var right: [String: Int]
    var tail = 0

    private enum CodingKeys: CodingKey {
        case right, left, tail
    }

    init(left: [Int], right: [String: Int]) {
        self.left = left
        self.right = right
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        var items = try container.nestedUnkeyedContainer(forKey: .left)
        left = []
        while !items.isAtEnd { left.append(try items.decode(Int.self)) }
        right = try container.decode([String: Int].self, forKey: .right)
        tail = try container.decode(Int.self, forKey: .tail)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        var items = container.nestedUnkeyedContainer(forKey: .left)
        var pairs = container.nestedContainer(keyedBy: Name.self, forKey: .right)
        for (index, pair) in right.sorted(by: { $0.key > $1.key }).enumerated() {
            try pairs.encode(pair.value, forKey: Name(stringValue: pair.key))
            if index < left.count { try items.encode(left[index]) }
        }
        try container.encode(tail, forKey: .tail)
        for item in left.dropFirst(right.count) { try items.encode(item) }
    }
}

struct Name: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) {
        self.stringValue = stringValue
    }

    init?(intValue: Int) {
        nil
    }
}

@Suite struct CodableTests {
    private func roundTrip<Value: Codable & Equatable>(_ value: Value, _ diagnostic: String? = nil) throws {
        let encoded = try CBOREncoder().encode(value)
        #expect(try CBORDecoder().decode(Value.self, from: encoded) == value)
        // The value form of an encoding is the same encoding: it was deterministic.
        #expect(try CBORValue(decoding: encoded).encoded() == encoded)
        if let diagnostic { #expect(CBORValue.diagnostic(of: encoded) == diagnostic) }
    }

    @Test func structs() throws {
        let plain = Plain(id: 7, name: "a", score: 1.5, isActive: true, note: nil)
        try roundTrip(plain, #"{"id": 7, "name": "a", "score": 1.5, "isActive": true}"#)
        try roundTrip([plain, plain])
        try roundTrip(["x": plain], #"{"x": {"id": 7, "name": "a", "score": 1.5, "isActive": true}}"#)
        struct Empty: Codable, Equatable {}
        try roundTrip(Empty(), "{}")
        try roundTrip([Empty(), Empty()], "[{}, {}]")
    }

    @Test func scalars() throws {
        try roundTrip(UInt64.max, "18446744073709551615")
        try roundTrip(Int64.min, "-9223372036854775808")
        try roundTrip(Int8.min)
        try roundTrip(UInt8.max)
        try roundTrip("", #""""#)
        try roundTrip("Ω≈ç√\u{0}", #""Ω≈ç√\u0000""#)
        try roundTrip(true)
        try roundTrip(Float(0.1))
        try roundTrip(0.1)
        try roundTrip(Duration.seconds(3))
        try roundTrip(1.0 as Double?)
        try roundTrip(nil as Double?, "null")
        try roundTrip([1, nil, 3] as [Int?], "[1, null, 3]")
        try roundTrip([[nil, "a"], nil] as [[String?]?], #"[[null, "a"], null]"#)
        try roundTrip(0..<5)
        #expect(try CBORDecoder().decode(Int?.self, from: bytes("f7")) == nil)
    }

    @Test func enums() throws {
        let plain = Plain(id: 7, name: "a", score: 1.5, isActive: true, note: "n")
        try roundTrip(Event.started, #"{"started": {}}"#)
        try roundTrip(Event.moved(x: 1, y: -2), #"{"moved": {"x": 1, "y": -2}}"#)
        try roundTrip([Event.named("n"), .both(.started, .named("m")), .carried(plain, weights: [1, 2])])
        try roundTrip(["b": Event.carried(plain, weights: nil), "a": .started])
        enum Raw: String, Codable { case one, two }
        try roundTrip([Raw.one, .two], #"["one", "two"]"#)
    }

    @Test func dictionaries() throws {
        try roundTrip(["b": 1, "aa": 2, "": 3, "a": 4], #"{"": 3, "a": 4, "b": 1, "aa": 2}"#)
        try roundTrip([10: "x", -1: "y", 300: "z", 0: "w"], #"{0: "w", 10: "x", 300: "z", -1: "y"}"#)
        try roundTrip(["10": "x", "9": "y"], #"{"9": "y", "10": "x"}"#)
        try roundTrip([Int.min: 1, Int.max: 2])
        try roundTrip([1: [2: [3: "deep"]]], #"{1: {2: {3: "deep"}}}"#)
        try roundTrip([UInt8(3): "c", 1: "a", 2: "b"], #"[1, "a", 2, "b", 3, "c"]"#)
        try roundTrip(Set(["b", "aa", "c"]), #"["b", "c", "aa"]"#)
        try roundTrip(Set(0..<300))
        try roundTrip([String: Int](), "{}")
        try roundTrip([Int: Int](), "{}")
        try roundTrip(Dictionary(uniqueKeysWithValues: (0..<1000).map { ("key\($0)", $0) }))
        try roundTrip(Dictionary(uniqueKeysWithValues: (0..<1000).map { ($0 * 7 - 3000, "\($0)") }))
        // Text keys with digits serve dictionaries with integer keys: JSON has no others.
        #expect(try CBORDecoder().decode([Int: Int].self, from: bytes("a1623130 05")) == [10: 5])
    }

    @Test func largeArraysOfValues() throws {
        try roundTrip((0..<70_000).map { "item \($0)" })
        try roundTrip((0..<300).map { Plain(id: $0, name: "n\($0)", score: 0, isActive: false, note: nil) })
        try roundTrip((0..<24).map { [$0: true] })
    }

    @Test func classHierarchies() throws {
        let dog = Dog(name: "Rex", tricks: ["sit", "roll"])
        let encoded = try CBOREncoder().encode(dog)
        #expect(CBORValue.diagnostic(of: encoded) == #"{"super": {"name": "Rex"}, "tricks": ["sit", "roll"]}"#)
        let decoded = try CBORDecoder().decode(Dog.self, from: encoded)
        #expect(decoded.name == "Rex" && decoded.tricks == ["sit", "roll"])
        let cat = try CBOREncoder().encode(Cat(name: "Tom", lives: 9))
        #expect(CBORValue.diagnostic(of: cat) == #"{"name": "Tom", "lives": 9}"#)
        #expect(try CBORDecoder().decode(Cat.self, from: cat).lives == 9)
    }

    @Test func interleavedContainers() throws {
        try roundTrip(
            Interleaved(left: [1, 2, 3, 4], right: ["b": 2, "a": 1, "cc": 3]),
            #"{"left": [1, 2, 3, 4], "tail": 0, "right": {"a": 1, "b": 2, "cc": 3}}"#)
        try roundTrip(Interleaved(left: Array(0..<100), right: [:]))
        try roundTrip([Interleaved(left: [], right: ["x": 1]), Interleaved(left: [5], right: [:])])
    }

    @Test func valuesInsideTypes() throws {
        struct Holder: Codable, Equatable {
            var value: CBORValue
            var list: [CBORValue]
        }
        try roundTrip(
            Holder(value: .map([.init(.unsigned(1), .tagged(99, .text("x")))]), list: [.null, .undefined, .simple(3)]),
            #"{"list": [null, undefined, simple(3)], "value": {1: 99("x")}}"#)
    }

    @Test func tagsAreReadPast() throws {
        #expect(try CBORDecoder().decode(String.self, from: bytes("d9d9f7 d820 6161")) == "a")
        #expect(try CBORDecoder().decode([String: Int].self, from: bytes("d9d9f7 a1 6161 c501")) == ["a": 1])
        #expect(try CBORDecoder().decode(Int?.self, from: bytes("c5f6")) == nil)
    }

    @Test func userInfoReachesTypes() throws {
        struct Reader: Codable {
            static let key = CodingUserInfoKey(rawValue: "k")
            var found: String

            init() {
                found = ""
            }

            init(from decoder: any Decoder) throws {
                found = Self.key.flatMap { decoder.userInfo[$0] as? String } ?? "none"
            }

            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                try container.encode(Self.key.flatMap { encoder.userInfo[$0] as? String } ?? "none")
            }
        }
        let key = try #require(Reader.key)
        #expect(try CBOREncoder(userInfo: [key: "hi"]).encode([Reader()]) == bytes("81626869"))
        #expect(try CBORDecoder(userInfo: [key: "hi"]).decode([Reader].self, from: bytes("8100"))[0].found == "hi")
    }

    @Test func encodesIntoAWriter() throws {
        var writer = CBORWriter()
        writer.writeArrayHeader(2)
        try CBOREncoder().encode(["b": 1, "a": 2], into: &writer)
        struct Bad: Encodable {
            func encode(to encoder: any Encoder) throws {
                var container = encoder.unkeyedContainer()
                try container.encode(1)
                throw CancellationError()
            }
        }
        let before = writer.bytes
        #expect(codeThrown { try CBOREncoder().encode(Bad(), into: &writer) } == .userCode)
        #expect(writer.bytes == before)
        try CBOREncoder().encode([0.5], into: &writer)
        #expect(CBORValue.diagnostic(of: writer.bytes) == #"[{"a": 2, "b": 1}, f64[0.5]]"#)
    }
}
