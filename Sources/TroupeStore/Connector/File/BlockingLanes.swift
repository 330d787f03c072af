import Dispatch

/// Threads for system calls that take long, so that they do not hold the threads tasks run on.
///
/// Four lanes bound the number of threads; a key always takes the same lane.
struct BlockingLanes: Sendable {
    /// Below this, the call costs less than changing threads.
    static let inlineSizeBytesMax = 1 << 20

    private let queues = (0..<4).map { DispatchQueue(label: "troupe.store.file.\($0)") }

    func run<Result: Sendable>(
        _ key: String, elsewhere: Bool, _ body: @escaping @Sendable () throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        guard elsewhere else { return try body() }
        let queue = queues[Int(UInt(bitPattern: key.hashValue) % UInt(queues.count))]
        let result: Swift.Result<Result, StoreError> = await withCheckedContinuation { continuation in
            queue.async {
                continuation.resume(returning: Swift.Result { () throws(StoreError) in try body() })
            }
        }
        return try result.get()
    }
}
