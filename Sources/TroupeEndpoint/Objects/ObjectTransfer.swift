import Logging
import Synchronization
import TroupeCore

/// One object of another site on its way into a copy here, and all who wait for parts of it.
///
/// It goes on for as long as somebody asks, over broken links too, each time from where it stopped. Then the copy, whole or
/// not, stays for later readers.
final class ObjectTransfer: Sendable {
    let place: ObjectPlace

    private enum End {
        case missing
        case failed(EndpointError)
    }
    private struct State {
        var file: ObjectFile?
        /// The object's size, from when room is looked for.
        var reservedBytes: Int
        var isRunning = false
        var isStopped = false
        var end: End?
        /// There is no room for a copy.
        var isRefused = false
        var askedAt = ContinuousClock.now
    }
    private let state: Mutex<State>
    private let changes = Broadcast()
    private let makeFile: @Sendable (Int) throws(EndpointError) -> ObjectFile
    private let onPiece: @Sendable (Int) -> Void
    private let logger: Logger

    /// How long one request waits before it is told how far the transfer is.
    private static let answerAfter = Duration.seconds(5)
    /// How long a transfer goes on for which nobody asks.
    private static let interest = Duration.seconds(60)
    private static let backOff = BackOff(first: .milliseconds(50), longest: .seconds(2))

    /// - Parameters:
    ///   - file: what is here already.
    ///   - makeFile: makes the copy of an object of this size, or says that there is no room.
    ///   - onPiece: told of each piece's size.
    init(
        _ place: ObjectPlace, file: ObjectFile?, logger: Logger,
        makeFile: @escaping @Sendable (Int) throws(EndpointError) -> ObjectFile,
        onPiece: @escaping @Sendable (Int) -> Void
    ) {
        self.place = place
        self.makeFile = makeFile
        self.onPiece = onPiece
        self.logger = logger
        state = Mutex(State(file: file, reservedBytes: file?.sizeBytes ?? 0))
    }

    var isRunning: Bool { state.withLock { $0.isRunning } }
    var hasFile: Bool { state.withLock { $0.file != nil } }
    var reservedBytes: Int { state.withLock { $0.reservedBytes } }
    var askedAt: ContinuousClock.Instant { state.withLock { $0.askedAt } }

    /// A reader who has begun goes on: an open file is there until it is closed.
    func removeFile() {
        state.withLock { state in
            defer {
                state.file = nil
                state.reservedBytes = 0
            }
            return state.file
        }?.remove()
    }

    /// Ends with the endpoint: another one may take over the file.
    func stop() { state.withLock { $0.isStopped = true } }

    // MARK: Reading

    /// What is known of a range.
    private enum Look {
        case here(ObjectFile)
        case notHere(sizeBytes: Int)
        case over(End)
        case refused
    }

    private func look(_ range: Range<Int>) -> Look {
        state.withLock { state in
            if let file = state.file, file.sizeBytesHere >= min(range.upperBound, file.sizeBytes) { return .here(file) }
            if let end = state.end { return .over(end) }
            return state.isRefused ? .refused : .notHere(sizeBytes: state.file?.sizeBytesHere ?? 0)
        }
    }

    enum Reading {
        case answer(LocalAnswer)
        /// The range has to be read without a copy.
        case withoutCopy
        /// What is here cannot be used.
        case damaged(EndpointError)
    }

    /// - Parameter peer: from where to fetch what is not here; nil takes only what is.
    func read(_ range: Range<Int>, from peer: Peer?) async throws(EndpointError) -> Reading {
        state.withLock { $0.askedAt = .now }
        guard let peer else {
            guard case .here(let file) = look(range) else { return .withoutCopy }
            return read(range, in: file)
        }
        if case .notHere = look(range) {
            start(peer)
            await wait(for: range)
        }
        switch look(range) {
        case .here(let file): return read(range, in: file)
        case .over(.missing): return .answer(.missing)
        case .over(.failed(let error)): throw error
        case .refused: return .withoutCopy
        case .notHere(let size): return .answer(.pending(sizeBytesHere: size))
        }
    }

    private func read(_ range: Range<Int>, in file: ObjectFile) -> Reading {
        do throws(EndpointError) {
            return .answer(.object(sizeBytes: file.sizeBytes, bytes: try file.read(range)))
        } catch {
            return .damaged(error)
        }
    }

    private func wait(for range: Range<Int>) async {
        let end = ContinuousClock.now + Self.answerAfter
        while ContinuousClock.now < end, !Task.isCancelled, case .notHere(let before) = look(range) {
            await changes.wait(atMost: end - .now) { [self] in
                guard case .notHere(before) = look(range) else { return true }
                return false
            }
        }
    }

    // MARK: Fetching

    private func start(_ peer: Peer) {
        let starts = state.withLock { state in
            defer { state.isRunning = true }
            return !state.isRunning
        }
        // Unstructured: shared by all who ask, and over soon after the last one has.
        if starts { Task { await run(peer) } }
    }

    private func run(_ peer: Peer) async {
        var failures = 0
        while state.withLock({ state in
            state.isRunning = ContinuousClock.now - state.askedAt < Self.interest && !state.isStopped
            return state.isRunning
        }) {
            let before = state.withLock { $0.file?.sizeBytesHere ?? 0 }
            do throws(EndpointError) {
                let isThere = try await fetch(peer)
                return finish(isThere ? nil : .missing)
            } catch {
                switch error.code {
                case .unreachable, .timedOut, .closed: break
                case .limitExceeded, .files:
                    logger.warning("an object is read without a copy", metadata: ["reason": "\(error)"])
                    removeFile()
                    return finish(nil, isRefused: true)
                case .invalidArgument, .refused, .protocolViolation, .corrupt:
                    return finish(.failed(error))
                }
                failures = state.withLock { $0.file?.sizeBytesHere ?? 0 } > before ? 1 : failures + 1
                try? await Task.sleep(for: Self.backOff.randomPause(after: failures))
            }
        }
    }

    private func finish(_ end: End?, isRefused: Bool = false) {
        state.withLock { state in
            state.isRunning = false
            state.isRefused = isRefused
            state.end = end
        }
        changes.tell()
    }

    /// Whether it ended badly, so that the next one who asks begins anew.
    var isOver: Bool { state.withLock { $0.end != nil } }

    /// Fetches what is not here; each piece is here once it is written.
    private func fetch(_ peer: Peer) async throws(EndpointError) -> Bool {
        var offset = state.withLock { $0.file?.sizeBytesHere ?? 0 }
        let request = ObjectRequest(store: place.store, key: place.key, from: offset, upTo: nil)
        let size = try await RemoteObjects.receive(request, from: peer) { (size) throws(EndpointError) in
            try prepare(size)
        } onPiece: { (piece) throws(EndpointError) in
            guard let file = state.withLock({ $0.isStopped ? nil : $0.file }) else {
                throw EndpointError(.closed, "the copy of object \(place) was given up while it was made")
            }
            try file.write(piece, at: offset)
            offset += piece.count
            onPiece(piece.count)
            changes.tell()
        }
        return size != nil
    }

    private func prepare(_ size: Int) throws(EndpointError) {
        guard let file = state.withLock({ $0.file }) else {
            // Seen by others who look for room at the same time.
            state.withLock { $0.reservedBytes = size }
            do throws(EndpointError) {
                let file = try makeFile(size)
                return state.withLock { $0.file = file }
            } catch {
                state.withLock { $0.reservedBytes = 0 }
                throw error
            }
        }
        guard file.sizeBytes == size else {
            removeFile()
            throw EndpointError(
                .corrupt,
                "object \(place) had \(file.sizeBytes) bytes and now has \(size): objects do not change, so read it again"
            )
        }
    }
}
