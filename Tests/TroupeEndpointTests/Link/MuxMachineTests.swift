import NIOCore
import Testing

@testable import TroupeEndpoint

@Suite("The link's machine")
struct MuxMachineTests {
    @Test("the server speaks first, and the client only to a server that does")
    func greeting() {
        let client = LinkSide(.client)
        let server = LinkSide(.server)
        #expect(!client.hasOutput)
        client.receive(server.output())
        #expect(client.events == [.ready])
        server.receive(client.output())
        #expect(server.events == [.ready])
        client.receive(server.output())
        server.receive(client.output())
        #expect(client.machine.pulse.roundTrip != nil)
        #expect(server.machine.pulse.roundTrip != nil)
        #expect(!client.hasOutput && !server.hasOutput)
    }

    @Test("a sender stops at the window, and goes on when half of it has been read")
    func windows() throws {
        var peer = MuxOptions()
        peer.bulkWindowBytes = 1000
        let sender = LinkSide.greeted(.client, peer: peer)
        let receiver = LinkSide.greeted(.server, peer)
        let id = try sender.machine.open(.bulk)
        #expect(sender.machine.write([UInt8](repeating: 1, count: 2500), on: id) == .taken)
        receiver.receive(sender.output())
        #expect(receiver.machine.receivedBytes == 1000)
        #expect(!sender.hasOutput)
        #expect(receiver.read(id, atMost: 499) == .bytes([UInt8](repeating: 1, count: 499)))
        #expect(!receiver.hasOutput)
        #expect(receiver.read(id, atMost: 1) == .bytes([1]))
        let update = receiver.output()
        #expect(LinkFrames.frames(update) == [.windowUpdate(stream: id, 500)])
        sender.receive(update)
        receiver.receive(sender.output())
        #expect(receiver.machine.receivedBytes == 1000)
    }

    @Test("what is urgent goes first, and bulk streams take turns")
    func order() throws {
        let sender = LinkSide.greeted(.client)
        let first = try sender.machine.open(.bulk)
        let second = try sender.machine.open(.bulk)
        let urgent = try sender.machine.open(.urgent)
        let large = [UInt8](repeating: 0, count: 200_000)
        #expect(sender.machine.write(large, on: first) == .taken)
        #expect(sender.machine.write(large, on: second) == .taken)
        // A batch takes two chunks of the largest size.
        #expect(LinkFrames.order(sender.output(atMost: 20_000)) == [first, second])
        #expect(sender.machine.write([1, 2, 3], on: urgent) == .taken)
        #expect(LinkFrames.order(sender.output(atMost: 20_000)) == [urgent, first, second])
        #expect(LinkFrames.order(sender.output(atMost: 1)) == [first])
        #expect(LinkFrames.order(sender.output(atMost: 1)) == [second])
    }

    @Test("a writer that is ahead of the wire waits, and is called back when half of it has gone")
    func writers() throws {
        var options = MuxOptions()
        options.sendBufferBytes = 1000
        options.chunkBytes = 400
        let sender = LinkSide.greeted(.client, options)
        let id = try sender.machine.open(.urgent)
        #expect(sender.machine.write([UInt8](repeating: 0, count: 999), on: id) == .taken)
        #expect(!sender.isWriteWaiting(id))
        #expect(sender.machine.write([0], on: id) == .taken)
        #expect(sender.machine.write([0], on: id) == .full)
        #expect(sender.isWriteWaiting(id))
        _ = sender.output(atMost: 20)
        #expect(sender.machine.streams[id]?.outbox.bytes == 600)
        #expect(sender.events.isEmpty)
        #expect(sender.machine.write([0], on: id) == .full)
        _ = sender.output(atMost: 1)
        #expect(sender.events == [.writable(id)])
        #expect(sender.machine.write([0], on: id) == .taken)
    }

    @Test("a window grows while its reader keeps up with a long path, to its bound")
    func growth() throws {
        var options = MuxOptions()
        options.bulkWindowBytes = 1000
        options.bulkWindowMaxBytes = 3500
        options.urgentWindowBytes = 1000
        #expect(try windows(.bulk, options, readEvery: .milliseconds(15)) == [2000, 3500, 3500, 3500])
        #expect(try windows(.bulk, options, readEvery: .milliseconds(25)) == [1000, 1000, 1000, 1000])
        #expect(try windows(.urgent, options, readEvery: .milliseconds(1)) == [1000, 1000, 1000, 1000])
        options.receivedBytesMax = 2000
        #expect(try windows(.bulk, options, readEvery: .milliseconds(15)) == [2000, 2000, 2000, 2000])
    }

    /// The windows after each of four reads of all that the window allows, over a path of 10 ms.
    private func windows(
        _ urgency: StreamUrgency, _ options: MuxOptions, readEvery time: TimeAmount
    ) throws -> [Int] {
        let side = LinkSide(.server, options)
        _ = side.output()
        var greeting = ByteBuffer()
        MuxPreface(options).write(to: &greeting)
        side.receive(greeting)
        guard case .ping(let nonce)? = LinkFrames.frames(side.output()).first else { return [] }
        side.now = side.now + .milliseconds(10)
        side.receive(.pong(nonce))
        side.receive(.open(stream: 1, urgency))
        return try (0..<4).map { _ in
            let stream = try #require(side.machine.streams[1])
            while stream.receiveCredit > 0 {
                side.receiveData([UInt8](repeating: 0, count: min(500, stream.receiveCredit)), on: 1)
            }
            side.now = side.now + time
            _ = side.read(1)
            #expect(stream.receiveCredit == stream.window)
            return stream.window
        }
    }

    @Test("streams beyond the bound are reset, and not even tried by a side that knows it")
    func streamsMax() throws {
        var options = MuxOptions()
        options.streamsMax = 2
        let server = LinkSide.greeted(.server, options)
        server.receive(.open(stream: 1, .bulk), .open(stream: 3, .urgent), .open(stream: 5, .bulk))
        server.receiveData([1], on: 5)
        #expect(LinkFrames.frames(server.output()) == [.reset(stream: 5, .limit)])
        // Room comes when a stream is over on both sides.
        server.receive(.finish(stream: 1))
        try server.machine.finish(1)
        #expect(LinkFrames.frames(server.output()) == [.finish(stream: 1)])
        server.receive(.open(stream: 7, .bulk))
        #expect(!server.hasOutput)

        let client = LinkSide.greeted(.client, peer: options)
        _ = try client.machine.open(.bulk)
        _ = try client.machine.open(.bulk)
        let error = #expect(throws: EndpointError.self) { try client.machine.open(.bulk) }
        #expect(error?.code == .limitExceeded)
    }

    @Test("a peer that is refused again and again, and reads no answer, is left")
    func refusals() throws {
        var options = MuxOptions()
        options.streamsMax = 1
        options.controlFramesMax = 10
        let server = LinkSide.greeted(.server, options)
        var id: UInt32 = 1
        while server.failure == nil, id < 1000 {
            server.receive(.open(stream: id, .bulk))
            id += 2
        }
        #expect(server.failure?.code == .limitExceeded)
        #expect(id == 25)
    }

    @Test("a stream that would exceed what may wait for readers is given up, and no other")
    func receivedBytesMax() {
        var options = MuxOptions()
        options.receivedBytesMax = 1500
        let server = LinkSide.greeted(.server, options)
        server.receive(.open(stream: 1, .bulk), .open(stream: 3, .bulk))
        #expect(server.machine.accept() == .stream(1, .bulk))
        #expect(server.machine.accept() == .stream(3, .bulk))
        server.receiveData([UInt8](repeating: 1, count: 1000), on: 1)
        server.receiveData([UInt8](repeating: 3, count: 1000), on: 3)
        guard case .failed(let error) = server.read(3) else {
            Issue.record("the stream goes on")
            return
        }
        #expect(error.code == .limitExceeded)
        #expect(LinkFrames.frames(server.output()) == [.reset(stream: 3, .limit)])
        #expect(server.read(1) == .bytes([UInt8](repeating: 1, count: 1000)))
        #expect(server.machine.receivedBytes == 0)
    }

    @Test("only a connection that was used asks whether the peer is there, and silence ends it")
    func pings() throws {
        let side = LinkSide.greeted(.client)
        let id = try side.machine.open(.urgent)
        _ = side.machine.write([1], on: id)
        _ = side.output()
        side.machine.tick(now: side.now)
        guard case .ping(let nonce)? = LinkFrames.frames(side.output()).first else {
            Issue.record("a connection in use does not ask")
            return
        }
        side.receive(.pong(nonce))
        side.machine.tick(now: side.now)
        #expect(!side.hasOutput)

        _ = side.machine.write([2], on: id)
        _ = side.output()
        side.machine.tick(now: side.now)
        _ = side.output()
        // Anything that comes is a sign of life.
        side.now = side.now + .seconds(14)
        side.receive(.windowUpdate(stream: id, 1))
        side.now = side.now + .seconds(14)
        side.machine.tick(now: side.now)
        #expect(side.failure == nil)
        side.now = side.now + .seconds(1)
        side.machine.tick(now: side.now)
        #expect(side.failure?.code == .unreachable)
        #expect(side.failure?.message.contains("the peer") == true)
        #expect(side.machine.write([3], on: id) == .failed(try #require(side.failure)))
    }

    @Test("questions are answered, and the answers do not pile up")
    func pongs() {
        let side = LinkSide.greeted(.server)
        for nonce in 1...100_000 { side.receive(.ping(UInt64(nonce))) }
        #expect(LinkFrames.frames(side.output()) == [.pong(100_000)])
    }

    @Test("the end of a connection is told, and what had come can still be read")
    func goAway() throws {
        let client = LinkSide.greeted(.client)
        let server = LinkSide.greeted(.server)
        let whole = try client.machine.open(.bulk)
        let part = try client.machine.open(.bulk)
        _ = client.machine.write([1], on: whole)
        try client.machine.finish(whole)
        _ = client.machine.write([2], on: part)
        server.receive(client.output())
        client.machine.close(EndpointError(.closed, "closed here"), telling: "it stops")
        server.receive(client.output())
        #expect(server.failure?.code == .unreachable)
        #expect(server.failure?.message.contains("it stops") == true)
        #expect(server.read(whole) == .bytes([1]))
        #expect(server.read(whole) == .end)
        #expect(server.read(part) == .bytes([2]))
        #expect(server.read(part) == .failed(try #require(server.failure)))
        #expect(server.machine.accept() == .ended)
        #expect(!server.hasOutput)
        #expect(client.machine.write([3], on: part) == .failed(EndpointError(.closed, "closed here")))
    }

    @Test("who lets go of a finished stream still sends it, and what comes is dropped")
    func release() throws {
        var options = MuxOptions()
        options.bulkWindowBytes = 1000
        let client = LinkSide.greeted(.client, options)
        let server = LinkSide.greeted(.server, peer: options)
        let id = try client.machine.open(.bulk)
        _ = client.machine.write([1, 2, 3], on: id)
        try client.machine.finish(id)
        client.machine.release(id)
        server.receive(client.output())
        #expect(server.read(id) == .bytes([1, 2, 3]))
        #expect(server.read(id) == .end)
        // More than the window: nobody reads it, and nobody waits for ever either.
        _ = server.machine.write([UInt8](repeating: 0, count: 5000), on: id)
        try server.machine.finish(id)
        for _ in 0..<20 {
            client.receive(server.output())
            server.receive(client.output())
        }
        #expect(client.streamCount == 0 && client.machine.openCount == 0)
        #expect(client.machine.receivedBytes == 0 && client.machine.windowBytes == 0)
        server.machine.release(id)
        #expect(server.streamCount == 0 && server.machine.openCount == 0)
    }

    @Test("a reset fails both directions on both sides, and what waited is gone")
    func reset() throws {
        let client = LinkSide.greeted(.client)
        let server = LinkSide.greeted(.server)
        let id = try client.machine.open(.bulk)
        _ = client.machine.write([1, 2, 3], on: id)
        server.receive(client.output())
        #expect(server.machine.accept() == .stream(id, .bulk))
        _ = client.machine.write([4], on: id)
        client.machine.reset(id)
        server.receive(client.output())
        #expect(server.events.suffix(2) == [.readable(id), .writable(id)])
        for side in [client, server] {
            guard case .failed(let error) = side.read(id), case .failed = side.machine.write([5], on: id) else {
                Issue.record("a direction goes on")
                return
            }
            #expect(error.code == .closed)
            #expect(throws: EndpointError.self) { try side.machine.finish(id) }
            side.machine.release(id)
            #expect(side.streamCount == 0 && side.machine.openCount == 0 && side.machine.windowBytes == 0)
        }
        #expect(server.machine.receivedBytes == 0)
        #expect(!server.hasOutput && !client.hasOutput)
    }

    @Test("a stream that is reset before anybody takes it is never seen")
    func resetUnseen() {
        let server = LinkSide.greeted(.server)
        server.receive(.open(stream: 1, .bulk), .open(stream: 3, .bulk), .reset(stream: 1, .givenUp))
        #expect(server.machine.accept() == .stream(3, .bulk))
        #expect(server.machine.accept() == .none)
        #expect(server.machine.streams.count == 1)
    }
}
