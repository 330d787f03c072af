import DequeModule

/// Who waits for a stream.
struct StreamWaits {
    var reader: CheckedContinuation<Void, Never>?
    var writer: CheckedContinuation<Void, Never>?
    /// Writers take turns, so that what one writes stays together.
    var isBeingWritten = false
    var writers: Deque<CheckedContinuation<Void, Never>> = []
}

extension PathDriver {
    /// Who may wait for a new stream at a time.
    private static let openersMax = 4_096

    func open(_ urgency: StreamUrgency) async throws(EndpointError) -> Int64 {
        while true {
            try checkOpen()
            switch quic?.open(urgency) {
            case .stream(let id):
                streams[id] = StreamWaits()
                return id
            case .notYet: try await waitForStreams()
            case .over, nil: throw ending ?? EndpointError(.closed, "the connection to \(peer.short) is over")
            }
        }
    }

    private func waitForStreams() async throws(EndpointError) {
        guard openers.count < Self.openersMax else {
            throw EndpointError(
                .limitExceeded,
                "\(Self.openersMax) callers wait for a stream to \(peer.short) already: finish some streams first")
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { openers.append($0) }
        } onCancel: {
            // A task, since cancellation comes on any thread; who is woken in vain waits again.
            Task { await self.wakeOpeners() }
        }
        try checkCancelled()
    }

    func accept() async -> (id: Int64, urgency: StreamUrgency)? {
        while true {
            if let first = opened.popFirst() { return first }
            if ending != nil || Task.isCancelled { return nil }
            precondition(acceptor == nil, "one caller at a time waits for the next stream")
            await withTaskCancellationHandler {
                await withCheckedContinuation { acceptor = $0 }
            } onCancel: {
                // As above.
                Task { await self.wakeAcceptor() }
            }
        }
    }

    func read(_ id: Int64, atMost countMax: Int) async throws(EndpointError) -> [UInt8]? {
        precondition(countMax > 0, "a read asks for a byte at least")
        while true {
            switch quic?.read(id, atMost: countMax) {
            case .bytes(let bytes): return bytes
            case .end: return nil
            case .reset, nil: throw ending ?? Self.resetError(peer)
            case .nothingYet: break
            }
            try checkOpen()
            try checkCancelled()
            precondition(streams[id]?.reader == nil, "one caller at a time reads a stream")
            await withTaskCancellationHandler {
                await withCheckedContinuation { streams[id]?.reader = $0 }
            } onCancel: {
                // As above.
                Task { await self.wakeReader(id) }
            }
        }
    }

    func write(_ bytes: [UInt8], to id: Int64) async throws(EndpointError) {
        try await takeTurn(at: id)
        defer { passTurn(at: id) }
        var rest = bytes[...]
        while !rest.isEmpty {
            try checkOpen()
            guard let taken = quic?.write(rest, to: id) ?? nil else { throw ending ?? Self.resetError(peer) }
            rest = rest.dropFirst(taken)
            if rest.isEmpty { break }
            try checkCancelled()
            await withTaskCancellationHandler {
                await withCheckedContinuation { streams[id]?.writer = $0 }
            } onCancel: {
                // As above.
                Task { await self.wakeWriter(id) }
            }
        }
    }

    func finish(_ id: Int64) async throws(EndpointError) {
        try await takeTurn(at: id)
        defer { passTurn(at: id) }
        try checkOpen()
        quic?.finish(id)
    }

    func reset(_ id: Int64) {
        quic?.reset(id)
        wakeAll(of: id)
    }

    /// Its handle is gone.
    func forget(_ id: Int64) {
        wakeAll(of: id)
        streams[id] = nil
        quic?.forget(id)
    }

    // MARK: Turns of writers

    private func takeTurn(at id: Int64) async throws(EndpointError) {
        try checkOpen()
        if streams[id]?.isBeingWritten == true {
            await withCheckedContinuation { streams[id]?.writers.append($0) }
        }
        streams[id]?.isBeingWritten = true
    }

    private func passTurn(at id: Int64) {
        // The turn is handed over taken, so that nobody who comes now goes before.
        if let next = streams[id]?.writers.popFirst() {
            next.resume()
        } else {
            streams[id]?.isBeingWritten = false
        }
    }

    // MARK: Waking

    func wakeAll() {
        wakeAcceptor()
        wakeOpeners()
        for id in Array(streams.keys) { wakeAll(of: id) }
    }

    private func wakeAll(of id: Int64) {
        wakeReader(id)
        wakeWriter(id)
    }

    private func wakeReader(_ id: Int64) { streams[id]?.reader.take()?.resume() }

    private func wakeWriter(_ id: Int64) { streams[id]?.writer.take()?.resume() }

    private func wakeAcceptor() { acceptor.take()?.resume() }

    func wakeOpeners() {
        let woken = openers
        openers = []
        for opener in woken { opener.resume() }
    }

    // MARK: Errors

    private func checkOpen() throws(EndpointError) {
        if let ending { throw ending }
    }

    private func checkCancelled() throws(EndpointError) {
        if Task.isCancelled { throw EndpointError(.closed, "cancelled while it waited for \(peer.short)") }
    }

    private static func resetError(_ peer: EndpointID) -> EndpointError {
        EndpointError(.closed, "the stream with \(peer.short) was given up")
    }
}

// MARK: What tests ask

extension PathDriver {
    /// Bytes that were received and not read.
    func held(_ id: Int64) -> Int { quic?.held(id) ?? 0 }

    func isReading(_ id: Int64) -> Bool { streams[id]?.reader != nil }

    func isWaitingToWrite(_ id: Int64) -> Bool { streams[id]?.writer != nil }
}
