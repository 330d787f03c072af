import NIOCore
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// Two machines and a path that cuts bytes anywhere, against the plainest model: a list of bytes for each direction.
@Suite("Two machines of the link, at random")
struct MuxDifferentialTests {
    @Test("what is written arrives once, in order, on its stream", arguments: 0..<150)
    func differential(seed: Int) throws {
        let run = MuxRandomRun(seed: seed)
        for _ in 0..<400 { try run.step() }
        try run.settle()
    }
}

private final class MuxRandomRun {
    private struct Direction: Hashable {
        var toServer: Bool
        var stream: UInt32
    }

    private var random: SplitMix64
    private let client: LinkSide
    private let server: LinkSide
    /// What is on its way.
    private var toServer = ByteBuffer()
    private var toClient = ByteBuffer()
    private var written: [Direction: [UInt8]] = [:]
    private var read: [Direction: [UInt8]] = [:]
    private var finished: Set<Direction> = []
    private var ended: Set<Direction> = []
    private var streams: [UInt32] = []
    /// Streams of which a side knows.
    private var accepted: Set<Direction> = []

    init(seed: Int) {
        random = SplitMix64(seed: UInt64(seed))
        var options = MuxOptions()
        options.bulkWindowBytes = Int.random(in: 1...3000, using: &random)
        options.urgentWindowBytes = Int.random(in: 1...300, using: &random)
        options.bulkWindowMaxBytes = 10_000
        options.sendBufferBytes = Int.random(in: 1...2000, using: &random)
        options.chunkBytes = Int.random(in: 1...500, using: &random)
        client = LinkSide(.client, options)
        server = LinkSide(.server, options)
        carry(atMost: 10_000)
        carry(atMost: 10_000)
    }

    func step() throws {
        switch Int.random(in: 0..<10, using: &random) {
        case 0 where streams.count < 12: try open()
        case 1, 2, 3: write()
        case 4, 5, 6: readSome()
        case 7 where Int.random(in: 0..<4, using: &random) == 0: try finish()
        default: carry(atMost: Int.random(in: 1...3000, using: &random))
        }
        client.now = client.now + .microseconds(Int64.random(in: 0...3000, using: &random))
        server.now = client.now
    }

    private func side(_ isClient: Bool) -> LinkSide { isClient ? client : server }

    private func open() throws {
        let fromClient = Bool.random(using: &random)
        let id = try side(fromClient).machine.open(Bool.random(using: &random) ? .urgent : .bulk)
        streams.append(id)
        accepted.insert(Direction(toServer: fromClient, stream: id))
    }

    private func pick() -> Direction? {
        guard let stream = streams.randomElement(using: &random) else { return nil }
        return Direction(toServer: Bool.random(using: &random), stream: stream)
    }

    private func write() {
        guard let direction = pick(), accepted.contains(direction), !finished.contains(direction) else { return }
        let bytes = random.bytes(Int.random(in: 0...2500, using: &random))
        if side(direction.toServer).machine.write(bytes, on: direction.stream) == .taken {
            written[direction, default: []] += bytes
        }
    }

    private func readSome() {
        guard let direction = pick() else { return }
        read(direction, atMost: Int.random(in: 1...1500, using: &random))
    }

    private func read(_ direction: Direction, atMost countMax: Int) {
        let reader = Direction(toServer: !direction.toServer, stream: direction.stream)
        guard accepted.contains(reader), !ended.contains(direction) else { return }
        switch side(!direction.toServer).read(direction.stream, atMost: countMax) {
        case .bytes(let bytes):
            #expect(!bytes.isEmpty && bytes.count <= countMax)
            read[direction, default: []] += bytes
        case .end: ended.insert(direction)
        case .empty: break
        case .failed(let error): Issue.record("a read failed: \(error)")
        }
    }

    private func finish() throws {
        guard let direction = pick(), accepted.contains(direction), !finished.contains(direction) else { return }
        try side(direction.toServer).machine.finish(direction.stream)
        finished.insert(direction)
    }

    /// Takes what both want to send and delivers some of what is on its way, in pieces.
    private func carry(atMost countMax: Int) {
        toServer.writeImmutableBuffer(client.output(atMost: countMax))
        toClient.writeImmutableBuffer(server.output(atMost: countMax))
        deliver(&toServer, to: server, atMost: countMax)
        deliver(&toClient, to: client, atMost: countMax)
        accept(client, isClient: true)
        accept(server, isClient: false)
    }

    private func deliver(_ way: inout ByteBuffer, to side: LinkSide, atMost countMax: Int) {
        var left = countMax
        while left > 0, way.readableBytes > 0 {
            let size = min(left, way.readableBytes, Int.random(in: 1...600, using: &random))
            guard let piece = way.readSlice(length: size) else { return }
            side.receive(piece)
            left -= size
        }
        way.discardReadBytes()
    }

    private func accept(_ side: LinkSide, isClient: Bool) {
        while case .stream(let id, _) = side.machine.accept() {
            accepted.insert(Direction(toServer: isClient, stream: id))
        }
    }

    /// Ends all streams and reads until everything has arrived, which must be soon.
    func settle() throws {
        for _ in 0..<5 { carry(atMost: 100_000) }
        let directions = streams.flatMap {
            [Direction(toServer: true, stream: $0), Direction(toServer: false, stream: $0)]
        }
        for direction in directions where !finished.contains(direction) {
            #expect(accepted.contains(direction), "a stream was not announced")
            try side(direction.toServer).machine.finish(direction.stream)
        }
        for _ in 0..<20_000 where ended.count < directions.count {
            carry(atMost: 100_000)
            for direction in directions { read(direction, atMost: 100_000) }
        }
        #expect(ended.count == directions.count)
        #expect(read.filter { !$0.value.isEmpty } == written.filter { !$0.value.isEmpty })
        for side in [client, server] {
            #expect(side.failure == nil)
            #expect(side.machine.openCount == 0 && side.machine.receivedBytes == 0 && side.machine.windowBytes == 0)
        }
    }
}
