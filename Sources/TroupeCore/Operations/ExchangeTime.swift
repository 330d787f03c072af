import Synchronization

/// The exchange's time as this process knows it: read from the exchange, and carried on between readings by a clock that
/// does not step. Deadlines and timers are therefore right also on a machine whose own clock is wrong, or is being set.
///
/// A reading counts as taken in the middle of its round trip (Cristian, *Probabilistic clock synchronization*, 1989), so it
/// is off by half a round trip at the most; one that took long is not let replace a better one.
package final class ExchangeTime: ExchangeClock {
    private struct Reading {
        var time: Timestamp
        var instant: ContinuousClock.Instant
        var roundTrip: Duration

        /// How far off the time may be by then: quartz drifts by less than 200 µs a second.
        func uncertainty(at now: ContinuousClock.Instant) -> Duration { roundTrip / 2 + (now - instant) / 5000 }
    }

    private let anchor: Mutex<Reading>
    private let shard: any Shard

    /// Readings are taken that far apart.
    package static let interval = Duration.seconds(30)

    /// Reads the time of a shard, twice: the first round trip of a connection is longer than others.
    package init(of shard: any Shard) async throws(ExchangeError) {
        self.shard = shard
        anchor = Mutex(try await Self.reading(of: shard))
        take(try await Self.reading(of: shard))
    }

    package func now() -> Timestamp {
        let anchor = anchor.withLock { $0 }
        return anchor.time + (ContinuousClock.now - anchor.instant)
    }

    package func sleep(until time: Timestamp) async throws {
        let wait = time - now()
        if wait > .zero { try await Task.sleep(for: wait) }
    }

    /// Takes readings until the task is cancelled. One that fails leaves the time as it goes.
    package func keep() async {
        while (try? await Task.sleep(for: Self.interval)) != nil {
            guard let reading = try? await Self.reading(of: shard) else { continue }
            take(reading)
        }
    }

    private func take(_ reading: Reading) {
        anchor.withLock { anchor in
            let isBetter = reading.roundTrip / 2 <= anchor.uncertainty(at: reading.instant)
            if isBetter { anchor = reading }
        }
    }

    private static func reading(of shard: any Shard) async throws(ExchangeError) -> Reading {
        let before = ContinuousClock.now
        let answer = try await shard.perform(.shardStat)
        guard case .shardStat(let stat) = answer else { throw answer.unexpected("shardStat") }
        let roundTrip = ContinuousClock.now - before
        return Reading(time: stat.now, instant: before + roundTrip / 2, roundTrip: roundTrip)
    }
}
