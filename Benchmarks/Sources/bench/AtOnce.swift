/// Makes so many calls, `width` of them under way at a time; returns how many seconds that took.
func atOnce(
    _ width: Int, _ count: Int, _ call: @escaping @Sendable (Int) async throws -> Void
) async throws -> Double {
    let begin = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { group in
        for lane in 0..<min(width, count) {
            group.addTask { for number in stride(from: lane, to: count, by: width) { try await call(number) } }
        }
        try await group.waitForAll()
    }
    return (ContinuousClock.now - begin) / .seconds(1)
}

/// One call to each, a hundred at a time; after it they are all alive.
@discardableResult
func callEach(_ echoes: [Echo]) async throws -> Double {
    try await atOnce(100, echoes.count) { _ = try await echoes[$0].add(1) }
}

/// How long each of some calls takes, one after the other.
func oneByOne(_ count: Int, _ call: (Int) async throws -> Void) async throws -> Latencies {
    var latencies = Latencies()
    for number in 0..<count {
        let begin = ContinuousClock.now
        try await call(number)
        latencies.record(ContinuousClock.now - begin)
    }
    return latencies
}
