import Foundation
import Troupe
import TroupeTesting

extension Row {
    /// One-way messages into the mailbox of an actor that nobody hosts, a hundred under way; then the time to drain it.
    static let tells = backends.map { backend, place in
        mailbox("tell.put.\(backend)", "mailbox.drain.\(backend)", place, count: 9000, bytes: nil)
    }

    /// The same with something in the messages.
    static let mailboxes: [Row] = [("100B", 100, 9000), ("10KB", 10_000, 5000)].flatMap { size, bytes, count in
        backends.map { backend, place in
            mailbox(
                "mailbox.put.\(size).\(backend)", "mailbox.drain.\(size).\(backend)", place, count: count, bytes: bytes)
        }
    }

    private static func mailbox(
        _ putName: String, _ drainName: String, _ place: Lab.Place, count: Int, bytes: Int?
    ) -> Row {
        Row(putName, drainName) { lab in
            let count = lab.count(count)
            let (rates, floor) = try await lab.beside({ try lab.putFloor(place, bytes: bytes ?? 100) }) {
                try await MailboxRun(url: lab.url(place), count: count, bytes: bytes).rates()
            }
            let bare = 1e6 / floor.percentile(50)
            return [
                Measurement(putName, "messages", unit: "1/s", rates.put, floor: bare),
                Measurement(drainName, "messages", unit: "1/s", rates.drain, floor: bare),
            ]
        }
    }

    /// Very many messages in one mailbox: how fast they come and go, and what the exchange needs to keep one.
    static let queued: [Row] = [(100_000, Extent.always), (1_000_000, .long)].map { count, extent in
        let name = "queued.\(label(count)).redis"
        return Row(name, extent: extent) { lab in
            let own = try await OwnExchange.start(like: .redisTCP, lab)
            defer { own.end() }
            let (result, floor) = try await lab.beside({ try lab.putFloor(.redisTCP, bytes: 100) }) {
                let empty = try own.usedBytes()
                var full = empty
                let rates = try await MailboxRun(url: own.url, count: count, bytes: 100).rates {
                    full = try own.usedBytes()
                }
                return (rates, Double(full - empty) / Double(count))
            }
            let bare = 1e6 / floor.percentile(50)
            return [
                Measurement(name, "put", unit: "1/s", result.0.put, floor: bare),
                Measurement(name, "drain", unit: "1/s", result.0.drain, floor: bare),
                Measurement(name, "memory of one", unit: "B", result.1),
            ]
        }
    }
}

/// Fills the mailbox of an actor that nobody hosts, and then has it drained.
private struct MailboxRun {
    let url: String
    let count: Int
    /// The size of what each message carries; nil for a number only.
    let bytes: Int?

    /// A million messages take a minute or two.
    private static let deadline = CallDeadline.after(.seconds(900))

    /// Messages a second.
    func rates(whenFull: () async throws -> Void = {}) async throws -> (put: Double, drain: Double) {
        let troupe = try await Troupe.joining(url)
        let pool = "later-\(UUID().uuidString)"
        let echo = try await troupe.spawn(Echo.self, named: pool, pool: pool)
        // It may be stored before or among the messages; its answer says how many were handled before it.
        async let first = Troupe.withDeadline(Self.deadline) { try await echo.add(0) }
        let put = Double(count) / (try await fill(echo, troupe))
        try await whenFull()
        let worker = try FurtherWorker(pools: pool, url: url)
        defer { worker.end() }
        async let last = Troupe.withDeadline(Self.deadline) { try await echo.add(0) }
        let handledBefore = try await first
        let begin = ContinuousClock.now
        let handled = try await last - handledBefore
        let seconds = (ContinuousClock.now - begin) / .seconds(1)
        await troupe.close()
        guard handled > count / 2 else {
            throw Trouble("only \(handled) of \(count) messages were left to be timed")
        }
        return (put, Double(handled) / seconds)
    }

    private func fill(_ echo: Echo, _ troupe: Troupe) async throws -> Double {
        guard let bytes else {
            return try await atOnce(100, count) { _ in try await troupe.tell(echo) { try await $0.add(1) } }
        }
        let load = [UInt8](repeating: 7, count: bytes)
        return try await atOnce(100, count) { _ in try await troupe.tell(echo) { try await $0.take(load) } }
    }
}

extension Lab {
    /// What storing one message takes at least: a pipelined `RPUSH`, or one of the two hops of the nng ping-pong.
    func putFloor(_ place: Place, bytes: Int) throws -> Latencies {
        // So many that they are measurable, and not more than 100 MB.
        let count = min(100_000, 100_000_000 / bytes)
        switch place {
        case .redisTCP, .redisUnix: return try floors(["redis-push", redis.socketPath, "\(count)", "\(bytes)"])
        case .redisAlways: return try floors(["redis-push", redisAlways.socketPath, "\(count)", "\(bytes)"])
        case .brokerIPC, .brokerTCP, .brokerDurable:
            return try floors(["nng-hop", "ipc://\(directory)/floor.sock", "\(self.count(5000))", "\(bytes)"])
        }
    }
}
