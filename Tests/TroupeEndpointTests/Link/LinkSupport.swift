import NIOCore
import TroupeTesting

@testable import TroupeEndpoint

extension SplitMix64 {
    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            let word = next()
            for place in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * UInt64(place)))) }
        }
        return Array(bytes.prefix(count))
    }
}

/// A machine that a test shares with its helpers.
final class LinkSide {
    var machine: MuxMachine
    var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    var events: [MuxMachine.Event] = []

    init(_ role: MuxMachine.Role, _ options: MuxOptions = MuxOptions()) {
        machine = MuxMachine(role, options: options, peerName: "the peer", now: now)
    }

    /// All that it wants to send, up to a limit.
    func output(atMost countMax: Int = 1 << 20) -> ByteBuffer {
        var buffer = ByteBuffer()
        machine.write(to: &buffer, atMost: countMax, now: now)
        events += machine.takeEvents()
        return buffer
    }

    func receive(_ bytes: ByteBuffer) {
        machine.receive(bytes, now: now)
        events += machine.takeEvents()
    }

    func receive(_ frames: MuxFrame...) {
        var buffer = ByteBuffer()
        for frame in frames { frame.write(to: &buffer) }
        receive(buffer)
    }

    func receiveData(_ bytes: [UInt8], on stream: UInt32) {
        var buffer = ByteBuffer()
        MuxFrameHead(kind: .data, stream: stream, payloadSizeBytes: bytes.count).write(to: &buffer)
        buffer.writeBytes(bytes)
        receive(buffer)
    }

    func read(_ stream: UInt32, atMost countMax: Int = 1 << 20) -> MuxMachine.Reading {
        machine.read(stream, atMost: countMax, now: now)
    }

    var hasOutput: Bool { machine.hasOutput }

    /// Streams that it knows, over or not.
    var streamCount: Int { machine.streams.count }

    func isWriteWaiting(_ stream: UInt32) -> Bool { machine.isWriteWaiting(stream) }

    var failure: EndpointError? {
        if case .ended(let error) = machine.phase { error } else { nil }
    }

    /// Drops the greeting and its ping, so that what follows is what a test is about.
    static func greeted(
        _ role: MuxMachine.Role, _ options: MuxOptions = MuxOptions(), peer: MuxOptions = MuxOptions()
    ) -> LinkSide {
        let side = LinkSide(role, options)
        _ = side.output()
        var greeting = ByteBuffer()
        MuxPreface(peer).write(to: &greeting)
        side.receive(greeting)
        for item in LinkFrames.items(side.output(), isGreeting: role == .client) {
            if case .frame(.ping(let nonce)) = item { side.receive(.pong(nonce)) }
        }
        side.events.removeAll()
        return side
    }
}

/// What bytes say, for tests to look at.
enum LinkFrames {
    static func items(_ bytes: ByteBuffer, isGreeting: Bool = false) -> [MuxParser.Item] {
        var input = ByteBuffer()
        if !isGreeting { MuxPreface(MuxOptions()).write(to: &input) }
        input.writeImmutableBuffer(bytes)
        var parser = MuxParser()
        var items: [MuxParser.Item] = []
        while let item = try? parser.next(from: &input) { items.append(item) }
        return isGreeting ? items : Array(items.dropFirst())
    }

    /// Of data frames: the streams in their order.
    static func order(_ bytes: ByteBuffer) -> [UInt32] {
        items(bytes).compactMap { item in
            if case .data(let stream, _) = item { stream } else { nil }
        }
    }

    static func frames(_ bytes: ByteBuffer) -> [MuxFrame] {
        items(bytes).compactMap { item in
            if case .frame(let frame) = item { frame } else { nil }
        }
    }

    static func raw(_ kind: UInt8, _ stream: UInt32, _ size: UInt32, _ payload: [UInt8] = []) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(kind, stream, size)
        buffer.writeBytes(payload)
        return buffer
    }
}
