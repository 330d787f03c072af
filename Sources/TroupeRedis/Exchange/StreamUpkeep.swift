internal import Synchronization
internal import TroupeCore

/// When a stream's reader has the server forget what it has passed, and tells it that the stream is still in use: not at
/// each read, since a command costs the server time and its reply wakes the reader.
final class StreamUpkeep: Sendable {
    private struct Stream {
        var passedCount = 0
        var passedSizeBytes = 0
        var isDue = false
        var keptUntil: ContinuousClock.Instant?
    }

    /// What may stay in a stream behind its reader, while more comes.
    private static let passedCountMax = 64
    private static let passedSizeBytesMax = 64 << 10
    /// Streams that are remembered; of another one is forgotten what was put off.
    private static let streamsMax = 1000

    private let streams = Mutex<[String: Stream]>([:])

    /// Items were read, and will be passed; none means that no more comes for a while.
    func note(_ items: [RedisReply], of key: String) {
        change(key) { stream in
            stream.passedCount += items.count
            stream.passedSizeBytes += items.reduce(0) { $0 + $1.sizeBytes }
            stream.isDue =
                items.isEmpty
                ? stream.passedCount > 0
                : stream.passedCount >= Self.passedCountMax
                    || stream.passedSizeBytes >= Self.passedSizeBytesMax
        }
    }

    /// Whether what was passed is to be forgotten now.
    func takesTrim(_ key: String) -> Bool {
        change(key) { stream in
            guard stream.isDue else { return false }
            stream.passedCount = 0
            stream.passedSizeBytes = 0
            stream.isDue = false
            return true
        }
    }

    /// Whether a stream that is kept for so many milliseconds is to be kept again.
    func takesKeeping(_ key: String, _ milliseconds: Int64) -> Bool {
        let now = ContinuousClock.now
        return change(key) { stream in
            if let until = stream.keptUntil, now < until { return false }
            stream.keptUntil = now.advanced(by: .milliseconds(milliseconds / 4))
            return true
        }
    }

    private func change<Result>(_ key: String, _ body: (inout Stream) -> Result) -> Result {
        streams.withLock { streams in
            if streams[key] == nil, streams.count >= Self.streamsMax { streams.removeAll() }
            return body(&streams[key, default: Stream()])
        }
    }
}

extension RedisReply {
    /// The bytes of its strings.
    fileprivate var sizeBytes: Int {
        array?.reduce(0) { $0 + $1.sizeBytes } ?? bytes?.count ?? 0
    }
}
