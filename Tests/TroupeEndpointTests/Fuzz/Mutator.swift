import Synchronization
import TroupeTesting

@testable import TroupeEndpoint

/// Makes of valid input what an attacker might. A seed always makes the same.
struct Mutator {
    var random: SplitMix64

    init(seed: Int) { random = SplitMix64(seed: UInt64(seed)) }

    mutating func changed(_ original: [UInt8]) -> [UInt8] {
        var bytes = original
        for _ in 0..<random.number(1...4) where !bytes.isEmpty {
            let place = random.number(0...bytes.count - 1)
            let end = min(place + random.number(1...16), bytes.count)
            switch random.number(0...7) {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes[place] ^= 1 << UInt8(random.number(0...7))
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            case 4: bytes.removeSubrange(place...)
            case 5: bytes.insert(contentsOf: bytes[place..<end], at: place)
            case 6: for at in place..<end { bytes[at] = 0xFF }
            default: bytes[place] = random.pick([0, 0x1B, 0x5B, 0x7F, 0x80, 0x9B, 0xBB, 0xFB])
            }
        }
        return bytes
    }

    mutating func changed(_ original: String) -> String {
        String(decoding: changed(Array(original.utf8)), as: UTF8.self)
    }

    mutating func noise(_ countMax: Int) -> [UInt8] { random.bytes(random.number(0...countMax)) }
}

/// A stream whose other side has said all that it will; it comes in pieces of any size.
final class GivenStream: PeerStream {
    private struct State {
        var rest: ArraySlice<UInt8>
        var random: SplitMix64
        var written = 0
        var isReset = false
    }
    private let state: Mutex<State>

    init(_ bytes: [UInt8], seed: Int) {
        state = Mutex(State(rest: bytes[...], random: SplitMix64(seed: UInt64(seed))))
    }

    var unreadCount: Int { state.withLock { $0.rest.count } }
    var writtenCount: Int { state.withLock { $0.written } }

    func read(atMost countMax: Int) async throws(EndpointError) -> [UInt8]? {
        state.withLock { state in
            guard !state.rest.isEmpty else { return nil }
            let part = state.rest.prefix(state.random.number(1...countMax))
            state.rest = state.rest.dropFirst(part.count)
            return Array(part)
        }
    }

    func write(_ bytes: [UInt8]) async throws(EndpointError) { state.withLock { $0.written += bytes.count } }
    func finish() async throws(EndpointError) {}
    func reset() { state.withLock { $0.isReset = true } }
}

/// The bytes that a ``FrameStream`` makes of values.
func framed(_ body: [UInt8]) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: body.count >> $0) } + body
}
