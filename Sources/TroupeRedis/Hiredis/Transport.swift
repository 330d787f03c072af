internal import NIOCore

/// The loop's side of a connection: socket, TLS, parser and the bytes that the socket did not take yet.
struct Transport: ~Copyable {
    /// How many full reads in a row one connection gets before others have their turn.
    private static let readsMax = 16
    /// Plain bytes that are encrypted at once.
    private static let encryptedSizeBytesMax = 64 * 1024

    let socket: Descriptor
    private let address: String
    private let tlsSetup: TLSEngine.Setup?
    private var tls: TLSEngine?
    private var reader: ReplyReader
    private var output = OutputBuffer()
    private var encrypted: [ByteBuffer] = []
    private var hasReceived = false
    private(set) var isConnecting = true
    /// Set by the loop once it watches the socket.
    var token: UInt64?
    var isWatchedForWriting = true

    init(socket: consuming Descriptor, address: String, tls: TLSEngine.Setup?, limits: RedisChannel.Limits) {
        self.socket = socket
        self.address = address
        tlsSetup = tls
        reader = ReplyReader(
            sizeBytesMax: limits.replySizeBytesMax, elementCountMax: limits.replyElementCountMax)
    }

    /// Ends the connecting phase when the socket says that it is through.
    mutating func finishConnecting() throws(RedisError) {
        let code = socket.connectionError()
        guard code == 0 else { throw .unreachable(address, SystemFailure(errno: code).text) }
        isConnecting = false
        guard let tlsSetup else { return }
        do {
            tls = try TLSEngine(tlsSetup)
        } catch { throw .tls(address, error) }
    }

    // MARK: Receiving

    /// Reads what has come and appends the replies that are complete.
    mutating func receive(into replies: inout [RedisReply]) throws(RedisError) {
        if tls != nil { return try receiveEncrypted(into: &replies) }
        for _ in 0..<Self.readsMax {
            let (transfer, isFull): (Transfer, Bool)
            do throws(ReplyReader.Failure) {
                (transfer, isFull) = try unsafe reader.fill { unsafe socket.receive(into: $0) }
            } catch { throw describe(error) }
            guard try isMore(transfer) else { return }
            try parse(into: &replies)
            if !isFull { return }
        }
    }

    private mutating func receiveEncrypted(into replies: inout [RedisReply]) throws(RedisError) {
        for _ in 0..<Self.readsMax {
            var buffer = ByteBufferAllocator().buffer(capacity: Self.encryptedSizeBytesMax)
            var transfer = Transfer.wouldBlock
            _ = unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.encryptedSizeBytesMax) { room in
                transfer = unsafe socket.receive(into: room)
                if case .moved(let count) = transfer { return count }
                return 0
            }
            guard try isMore(transfer) else { return }
            let isFull = buffer.writableBytes == 0
            do {
                for plain in try tls?.decrypt(buffer) ?? [] { try feed(plain, into: &replies) }
            } catch let failure as RedisError {
                throw failure
            } catch {
                // The alert that tells the server why goes out as far as the socket takes it.
                if (try? collectEncrypted()) != nil { _ = try? sendEncrypted() }
                throw .tls(address, error)
            }
            if !isFull { return }
        }
    }

    private mutating func feed(_ plain: ByteBuffer, into replies: inout [RedisReply]) throws(RedisError) {
        var plain = plain
        while plain.readableBytes > 0 {
            do throws(ReplyReader.Failure) {
                _ = try unsafe reader.fill { room in
                    let count = min(room.count, plain.readableBytes)
                    _ = unsafe plain.readWithUnsafeReadableBytes { bytes in
                        unsafe room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
                        return count
                    }
                    return .moved(count)
                }
            } catch { throw describe(error) }
            try parse(into: &replies)
        }
    }

    private mutating func parse(into replies: inout [RedisReply]) throws(RedisError) {
        do throws(ReplyReader.Failure) {
            try reader.drain(into: &replies)
        } catch { throw describe(error) }
        hasReceived = hasReceived || !replies.isEmpty
    }

    private func isMore(_ transfer: Transfer) throws(RedisError) -> Bool {
        switch transfer {
        case .moved: true
        case .wouldBlock: false
        case .ended: throw .lost(address, "the server closed the connection")
        case .failed(let code): throw .lost(address, SystemFailure(errno: code).text)
        }
    }

    private func describe(_ failure: ReplyReader.Failure) -> RedisError {
        switch failure {
        case .malformed(let text):
            let remedy = "check host and port; a port that expects TLS needs a rediss:// URL"
            let what = hasReceived ? "what came is not a reply" : "this is not a Redis server; \(remedy)"
            return RedisError(.notRedis, address: address, "\(what) (\(text))")
        case .tooLarge(let text):
            return RedisError(.tooLarge, address: address, "\(text); the connection was closed")
        case .outOfMemory:
            return RedisError(.tooLarge, address: address, "no memory for a reply; the connection was closed")
        }
    }

    // MARK: Sending

    /// Sends until nothing is left or the socket takes no more; says whether something is left. `refill` hands over
    /// what was submitted meanwhile.
    mutating func transmit(refill: (inout OutputBuffer) -> Void) throws(RedisError) -> Bool {
        while true {
            if output.isEmpty { refill(&output) }
            if tls != nil {
                try collectEncrypted()
                if try sendEncrypted() { return true }
                if output.isEmpty { return false }
                try encryptSome()
            } else {
                if output.isEmpty { return false }
                try sendPlain()
                if !output.isEmpty { return true }
            }
        }
    }

    private mutating func sendPlain() throws(RedisError) {
        // Taken out of `self`, which the closure reads.
        var output = OutputBuffer()
        swap(&output, &self.output)
        defer { swap(&output, &self.output) }
        try output.drain { (chunk, moreFollow) throws(RedisError) in
            try sent(socket.send(chunk, moreFollow: moreFollow))
        }
    }

    private mutating func encryptSome() throws(RedisError) {
        var room = Self.encryptedSizeBytesMax
        var output = OutputBuffer()
        swap(&output, &self.output)
        defer { swap(&output, &self.output) }
        do {
            try output.drain { chunk, _ in
                let part = chunk.prefix(room)
                try tls?.encrypt(part)
                room -= part.count
                return part.count
            }
        } catch { throw .tls(address, error) }
    }

    private mutating func collectEncrypted() throws(RedisError) {
        do {
            while let next = try tls?.nextOutbound() { encrypted.append(next) }
        } catch { throw .tls(address, error) }
    }

    /// Says whether something is left.
    private mutating func sendEncrypted() throws(RedisError) -> Bool {
        var done = 0
        defer { encrypted.removeFirst(done) }
        while done < encrypted.count {
            let transfer = unsafe encrypted[done].withUnsafeReadableBytes { bytes in
                unsafe socket.send(bytes, moreFollow: false)
            }
            encrypted[done].moveReaderIndex(forwardBy: try sent(transfer))
            if encrypted[done].readableBytes > 0 { return true }
            done += 1
        }
        return false
    }

    private func sent(_ transfer: Transfer) throws(RedisError) -> Int {
        switch transfer {
        case .moved(let count): count
        case .wouldBlock: 0
        case .ended: throw .lost(address, "the server closed the connection")
        case .failed(let code): throw .lost(address, SystemFailure(errno: code).text)
        }
    }
}

extension RedisError {
    static func unreachable(_ address: String, _ reason: String) -> RedisError {
        RedisError(
            .unreachable, address: address,
            "no connection: \(reason); check that redis-server runs there and that the URL names it rightly")
    }

    static func lost(_ address: String, _ reason: String) -> RedisError {
        RedisError(
            .connectionLost, address: address,
            "the connection was lost (\(reason)); whether the commands under way were executed is unknown")
    }

    static func tls(_ address: String, _ error: any Error) -> RedisError {
        RedisError(
            .tlsFailed, address: address,
            "no trusted TLS session (\(error)); check that the port expects TLS, that ?ca= names the authority which "
                + "signed the server's certificate for this host, and ?cert= and ?key= if the server asks for them")
    }
}
