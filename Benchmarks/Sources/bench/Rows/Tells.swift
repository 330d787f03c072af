import Foundation
import Troupe
import TroupeTesting

extension Row {
    /// One-way messages into the mailbox of an actor that nobody hosts, a hundred under way; then the time to drain it.
    static let tells = backends.map { backend, place in
        Row("tell.put.\(backend)", "mailbox.drain.\(backend)") { lab in
            let count = lab.count(9000) / 100 * 100
            let ((put, drain), floor) = try await lab.beside({ try lab.putFloor(place) }) {
                let troupe = try await Troupe.connect(to: lab.url(place))
                let pool = "later-\(UUID().uuidString)"
                let echo = try await troupe.spawn(Echo.self, named: pool, pool: pool)
                // It may be stored before or among the messages; its answer says how many were handled before it.
                async let first = Troupe.withDeadline(.none) { try await echo.add(0) }
                let put = try await putAtOnce(count, to: echo, troupe)
                let worker = try FurtherWorker(pool: pool, url: lab.url(place))
                defer { worker.end() }
                async let last = Troupe.withDeadline(.none) { try await echo.add(0) }
                let handledBefore = try await first
                let begin = ContinuousClock.now
                let handled = try await last - handledBefore
                let seconds = (ContinuousClock.now - begin) / .seconds(1)
                await troupe.close()
                guard handled > count / 2 else {
                    throw TroupeError(.exchange, "only \(handled) of \(count) messages were left to be timed")
                }
                return (put, Double(handled) / seconds)
            }
            let bare = 1e6 / floor.percentile(50)
            return [
                Measurement("tell.put.\(backend)", "messages", unit: "1/s", put, floor: bare),
                Measurement("mailbox.drain.\(backend)", "messages", unit: "1/s", drain, floor: bare),
            ]
        }
    }

    /// Messages a second.
    private static func putAtOnce(_ count: Int, to echo: Echo, _ troupe: Troupe) async throws -> Double {
        let begin = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<100 {
                group.addTask { for _ in 0..<count / 100 { try await troupe.tell(echo) { try await $0.add(1) } } }
            }
            try await group.waitForAll()
        }
        return Double(count) / ((ContinuousClock.now - begin) / .seconds(1))
    }
}

extension Lab {
    /// What storing one message takes at least: a pipelined `RPUSH`, or one of the two hops of the nng ping-pong.
    fileprivate func putFloor(_ place: Place) throws -> Latencies {
        switch place {
        case .redisTCP, .redisUnix: try floors(["redis-push", redis.socketPath, "100000", "100"])
        case .redisAlways: try floors(["redis-push", redisAlways.socketPath, "100000", "100"])
        case .brokerIPC, .brokerTCP, .brokerDurable:
            try floors(["nng-hop", "ipc://\(directory)/floor.sock", "\(count(5000))", "100"])
        }
    }
}
