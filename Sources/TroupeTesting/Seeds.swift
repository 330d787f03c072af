#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The seeds of a test: 1 to a count, or the one that the environment variable `TROUPE_SEED` names.
package enum Seeds {
    /// What a seed came to.
    package struct Failure: Error, CustomStringConvertible {
        package let seed: UInt64
        package let error: any Error
        package var description: String { "seed \(seed) (TROUPE_SEED=\(seed) runs it alone): \(error)" }
    }

    /// Runs the body with each seed, as many side by side as there are processors. Each has to start its own servers, and to
    /// name its seed in what it records.
    ///
    /// - Throws: ``Failure`` of the first seed whose body throws; then no further ones begin.
    package static func run(_ count: Int, _ body: @escaping @Sendable (UInt64) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, seed) in seeds(count).enumerated() {
                if index >= strandCount { try await group.next() }
                group.addTask {
                    do { try await body(seed) } catch { throw Failure(seed: seed, error: error) }
                }
            }
            try await group.waitForAll()
        }
    }

    private static let strandCount = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))

    private static func seeds(_ count: Int) -> [UInt64] {
        if let text = getenv("TROUPE_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
        return (1...UInt64(max(1, count))).map { $0 }
    }
}
