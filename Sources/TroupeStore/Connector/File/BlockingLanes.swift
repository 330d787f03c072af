import Dispatch

/// Threads for system calls that take long, so that they do not hold the threads tasks run on.
///
/// Four lanes bound the number of threads; a key always takes the same lane.
struct BlockingLanes: Sendable {
    /// Below this, the call costs less than changing threads.
    static let inlineSizeBytesMax = 1 << 20

    private let queues = (0..<4).map { DispatchQueue(label: "troupe.store.file.\($0)") }

    /// Runs the body: at once, or on the key's lane. Throws `cancelled` at once when the task is cancelled before the body
    /// has begun, which it then never does.
    ///
    /// - Parameter mayBeLeft: whether a cancelled task leaves also a body that has begun, whose result is then dropped.
    func run<Result: Sendable>(
        _ key: String, elsewhere: Bool, mayBeLeft: Bool = false,
        _ body: @escaping @Sendable () throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        guard elsewhere else { return try body() }
        let queue = queues[Int(UInt(bitPattern: key.hashValue) % UInt(queues.count))]
        let wait = LaneWait<Result>(mayBeLeft: mayBeLeft)
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard wait.begin(continuation) else {
                    return continuation.resume(returning: .failure(Self.cancelled(key)))
                }
                queue.async {
                    guard wait.beginBody() else { return }
                    wait.end(Swift.Result { () throws(StoreError) in try body() })
                }
            }
        } onCancel: {
            wait.cancel(Self.cancelled(key))
        }
        return try result.get()
    }

    private static func cancelled(_ key: String) -> StoreError { .cancelled("the wait for object \(key)") }
}
