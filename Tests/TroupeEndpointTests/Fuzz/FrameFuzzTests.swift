import CBOR
import Testing
import TroupeCore
import TroupeStore
import TroupeTesting

@testable import TroupeEndpoint

/// What a trusted site may send on a stream, changed.
@Suite("Changed frames of mail and objects", .timeLimit(.minutes(2)))
struct FrameFuzzTests {
    private static let names = SiteNames(peer: "lab-b", own: "lab-a")

    private static func envelope() throws -> Envelope {
        Envelope(
            id: CallID(unchecked: "client-1"), kind: .request, target: try ActorID(parsing: "Notebook/book"),
            sender: "Notebook/a", replyTo: ClientID(unchecked: "client"), method: "note(_:)", generics: ["Si"],
            arguments: [0x81, 0x01], sentAt: Timestamp(milliseconds: 5), deadline: Timestamp(milliseconds: 500),
            fingerprint: 77, chain: [try ActorID(parsing: "Notebook/outer")], references: ["objects/k"],
            baggage: ["trace": "1"])
    }

    private static func frames() throws -> [MailFrame] {
        let parcels = try (1...3).map { number in
            Parcel(
                number: UInt64(number), envelope: try envelope(), isRepeat: number == 2, age: 7, remaining: 30,
                wantsOutcome: true)
        }
        return [
            .deliver(source: "0.1", parcels), .deliver(source: "", []),
            .recall([SentCall(id: CallID(unchecked: "c"), target: try ActorID(parsing: "Notebook/book"))]),
            .ended(
                [SentCall(id: CallID(unchecked: "c"), target: try ActorID(parsing: "Notebook/book"))], source: "0.7",
                below: 9),
            .settled([
                Settlement(number: 1, result: .taken), Settlement(number: 2, result: .full),
                Settlement(number: 3, result: .refused("no")),
            ]),
            .outcomes([ParcelOutcome(number: 9, outcome: Outcome(.committed, payload: [1, 2, 3]))]),
        ]
    }

    /// Reads until the end or an error, and sees that what was read can be written and read again.
    private func readAll<Value: Codable & Equatable>(
        _ type: Value.Type, _ bytes: [UInt8], seed: Int, sizeBytesMax: Int = FrameStream.sizeBytesMax
    ) async throws -> [Value] {
        let budget = FrameBudget()
        var values: [Value] = []
        do {
            var reader = FrameReader(GivenStream(bytes, seed: seed), sizeBytesMax: sizeBytesMax, budget: budget)
            while let value = try await reader.next(type) {
                let again = framed(try CBOREncoder().encode(value))
                var second = FrameReader(GivenStream(again, seed: seed))
                #expect(try await second.next(type) == value)
                values.append(value)
            }
        } catch let error as EndpointError {
            #expect([.protocolViolation, .unreachable, .limitExceeded].contains(error.code), "\(error)")
            #expect(!error.message.isEmpty)
        }
        // Whatever came, nothing is held on to.
        #expect(budget.take(FrameBudget.sizeBytesMax))
        return values
    }

    @Test("mail is read or refused, and no parcel speaks for another site", arguments: 0..<20)
    func mail(seed: Int) async throws {
        var mutator = Mutator(seed: seed)
        let originals = try Self.frames()
        for _ in 0..<150 {
            let first = framed(mutator.changed(try CBOREncoder().encode(mutator.random.pick(originals))))
            let second = framed(try CBOREncoder().encode(mutator.random.pick(originals)))
            let bytes = mutator.random.chance(50) ? first + second : mutator.changed(second + first)
            for frame in try await readAll(MailFrame.self, bytes, seed: seed) {
                guard case .deliver(_, let parcels) = frame else { continue }
                for parcel in parcels { try check(parcel) }
            }
        }
    }

    private func check(_ parcel: Parcel) throws {
        let arrived: Envelope
        do {
            arrived = try Self.names.arriving(parcel, replyTo: nil, now: Timestamp(milliseconds: 1_000_000))
        } catch {
            #expect(!"\(error)".isEmpty)
            return
        }
        #expect(arrived.sender.hasPrefix("troupe://lab-b/"))
        #expect(arrived.id.text.hasPrefix("lab-b!"))
        #expect(arrived.target.site.isEmpty && arrived.replyTo == nil)
        // An object of this site counts only once the exchange has said that it knows it.
        #expect(arrived.references.allSatisfy { SiteObject.split($0).map { $0.site != Self.names.own } ?? false })
        #expect(arrived.sentAt <= Timestamp(milliseconds: 1_000_000))
    }

    @Test("noise is no mail", arguments: 0..<10)
    func noise(seed: Int) async throws {
        var mutator = Mutator(seed: seed)
        for _ in 0..<300 {
            _ = try await readAll(MailFrame.self, mutator.noise(400), seed: seed)
            _ = try await readAll(MailFrame.self, framed(mutator.noise(400)), seed: seed)
        }
    }

    @Test("a frame over its bound is refused by its first four bytes", arguments: [64 << 10, 16 << 20])
    func announced(sizeBytesMax: Int) async throws {
        for size in [sizeBytesMax + 1, 100_000_000, Int(UInt32.max)] {
            let head = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: size >> $0) }
            let stream = GivenStream(head + [UInt8](repeating: 0, count: 1 << 20), seed: 1)
            var reader = FrameReader(stream, sizeBytesMax: sizeBytesMax)
            do {
                _ = try await reader.next(MailFrame.self)
                Issue.record("a frame of \(size) bytes was read")
            } catch {
                #expect(error.code == .protocolViolation && error.message.contains("\(size)"))
            }
            #expect(stream.unreadCount > 900 << 10)
        }
    }

    @Test("requests for objects are answered or refused, with no more than the object has", arguments: 0..<10)
    func requests(seed: Int) async throws {
        let sizeBytes = 30_000
        let registry = StoreRegistry()
        try registry.register(Store(name: "objects", connector: PatternConnector(sizeBytes: sizeBytes)))
        let server = ObjectServer(stores: registry, logger: .quiet)
        let peer = TrustedPeer(site: "lab-b", id: EndpointKey().id)
        var mutator = Mutator(seed: seed)
        let numbers = [0, 1, 29_999, 30_000, 30_001, -1, .min, .max, 1 << 40]
        for round in 0..<100 {
            var request = ObjectRequest(store: "objects", key: "k", from: 0, upTo: nil)
            request.from = mutator.random.pick(numbers)
            request.upTo = mutator.random.chance(50) ? mutator.random.pick(numbers) : nil
            let body = try CBOREncoder().encode(request)
            let stream = GivenStream(framed(round % 2 == 0 ? body : mutator.changed(body)), seed: round)
            do {
                try await server.serve(stream, to: peer)
            } catch {
                #expect([.protocolViolation, .unreachable, .limitExceeded].contains(error.code), "\(error)")
            }
            #expect(stream.writtenCount <= sizeBytes + 1000)
        }
    }

    @Test("of an object's pieces those that are right are handed on, up to the first that is not", arguments: 0..<6)
    func pieces(seed: Int) async throws {
        var mutator = Mutator(seed: seed)
        let bytes = mutator.random.bytes(2 * ObjectPiece.sizeBytes + 1234)
        var sent: [UInt8] = []
        for begin in stride(from: 0, to: bytes.count, by: ObjectPiece.sizeBytes) {
            sent += ObjectPiece.sealed(Array(bytes[begin..<min(begin + ObjectPiece.sizeBytes, bytes.count)]))
        }
        for _ in 0..<4 {
            let changed = mutator.changed(sent)
            var got: [UInt8] = []
            do {
                var reader = PieceReader(
                    GivenStream(changed, seed: seed), buffer: [], count: bytes.count, name: "object")
                while let piece = try await reader.next() { got += piece }
            } catch {
                #expect([.corrupt, .unreachable, .protocolViolation].contains(error.code), "\(error)")
            }
            #expect(bytes.starts(with: got))
        }
    }

    @Test("what is said before an object's bytes is read or refused", arguments: 0..<10)
    func replies(seed: Int) async throws {
        var mutator = Mutator(seed: seed)
        let originals: [ObjectReply] = [.found(sizeBytes: 77), .found(sizeBytes: .max), .missing, .refused("no")]
        for _ in 0..<300 {
            let body = try CBOREncoder().encode(mutator.random.pick(originals))
            _ = try await readAll(
                ObjectReply.self, framed(mutator.changed(body)), seed: seed,
                sizeBytesMax: FrameReader.smallSizeBytesMax)
        }
    }
}
