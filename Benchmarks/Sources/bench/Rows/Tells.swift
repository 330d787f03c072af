import Troupe
import TroupeTesting

extension Row {
    /// One-way messages into the mailbox of an actor that nobody hosts, a hundred under way; then the time to drain it.
    static let tells = [Lab.Place.redisUnix, .brokerIPC].map { place in
        Row(name: "tell.\(place.rawValue)") { lab in
            let count = lab.count(9000) / 100 * 100
            let push =
                place == .redisUnix
                ? try lab.floors(["redis-push", lab.redis.socketPath, "100000", "100"]).percentile(50) : nil
            let troupe = try await Troupe.connect(to: lab.url(place))
            let name = "tell-\(place.rawValue)"
            let echo = try await troupe.spawn(Echo.self, named: name, pool: "later")
            let put = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 {
                    group.addTask { for _ in 0..<count / 100 { try await troupe.tell(echo) { try await $0.add(1) } } }
                }
                try await group.waitForAll()
            }
            let putSeconds = (ContinuousClock.now - put) / .seconds(1)
            let drained = try await lab.drain(place, echo, count: count)
            await troupe.close()
            return [
                Measurement(
                    "tell.put.\(place.rawValue)", "messages", unit: "1/s", Double(count) / putSeconds,
                    floor: push.map { 1e6 / $0 }),
                Measurement("mailbox.drain.\(place.rawValue)", "messages", unit: "1/s", Double(count) / drained),
            ]
        }
    }
}

extension Lab {
    /// Starts a worker for the pool and waits for the call behind the messages; in seconds from the first turn.
    fileprivate func drain(_ place: Place, _ echo: Echo, count: Int) async throws -> Double {
        let worker = try FurtherWorker(pool: "later", url: url(place))
        defer { worker.end() }
        let begin = ContinuousClock.now
        _ = try await Troupe.withDeadline(.none) { try await echo.add(0) }
        return (ContinuousClock.now - begin) / .seconds(1)
    }
}
