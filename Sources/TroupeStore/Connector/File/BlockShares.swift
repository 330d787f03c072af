import Dispatch
import Synchronization

/// Divides the blocks of a large object among threads.
enum BlockShares {
    /// A smaller share costs more to hand out than it saves.
    static let sizeBytesMin = 2 << 20
    /// Threads at most; a machine with fewer processors has fewer.
    static let countMax = 4

    static func count(sizeBytes: Int) -> Int { max(1, min(countMax, sizeBytes / sizeBytesMin)) }

    /// Calls `body` with ranges that together are all blocks of an object of this size, perhaps at the same time. Returns
    /// when all have returned; throws what one of them threw.
    ///
    /// The calling thread does a share too, and all of them if no other thread has time, so that nobody waits for others
    /// that wait.
    static func perform(
        sizeBytes: Int, _ body: @Sendable (Range<Int>) throws(StoreError) -> Void
    ) throws(StoreError) {
        let blocks = BlockChecksum.blockCount(of: sizeBytes)
        let shares = count(sizeBytes: sizeBytes)
        guard shares > 1 else { return try body(0..<blocks) }
        let failure = Mutex<StoreError?>(nil)
        DispatchQueue.concurrentPerform(iterations: shares) { share in
            do throws(StoreError) {
                try body(blocks * share / shares..<blocks * (share + 1) / shares)
            } catch { failure.withLock { $0 = $0 ?? error } }
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
    }
}
