/// Readers that wait for news of a key: tokens are handed out by ``add(_:for:)`` and end with the news or by
/// ``remove(_:for:)``, whichever is first.
package struct WaitList<Key: Hashable & Sendable, Waiter> {
    private var waiters: [Key: [(token: UInt64, waiter: Waiter)]] = [:]
    private var lastToken: UInt64 = 0

    package init() {}

    package mutating func add(_ waiter: Waiter, for key: Key) -> UInt64 {
        lastToken += 1
        waiters[key, default: []].append((lastToken, waiter))
        return lastToken
    }

    /// The waiter, if it still waits.
    package mutating func remove(_ token: UInt64, for key: Key) -> Waiter? {
        guard let index = waiters[key]?.firstIndex(where: { $0.token == token }) else { return nil }
        let waiter = waiters[key]?.remove(at: index).waiter
        if waiters[key]?.isEmpty == true { waiters[key] = nil }
        return waiter
    }

    /// All who wait for the key.
    package mutating func take(_ key: Key) -> [Waiter] { waiters.removeValue(forKey: key)?.map(\.waiter) ?? [] }

    package mutating func takeAll() -> [Waiter] {
        defer { waiters = [:] }
        return waiters.values.flatMap { $0.map(\.waiter) }
    }
}
