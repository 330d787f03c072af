internal import Synchronization
internal import TroupeCore

/// Lets time pass in a shard: a Redis does nothing by itself, so each client sends a tick when something is due, and
/// looks now and then whether others have set something earlier. Ticks of many clients do no more than those of one.
final class ShardTicker: Sendable {
    /// How often a client looks that hosts actors, and one that does not.
    private static let workerPeriod = Duration.seconds(1)
    private static let clientPeriod = Duration.seconds(5)
    /// At most this late on purpose, so that not all clients come at the same moment.
    private static let spreadMilliseconds: Int64 = 10

    private let clock = SystemClock()
    private let alarm = Mutex<Alarm?>(nil)
    private let hasWorker = Mutex(false)

    /// - Parameter tick: does what is due and says how long nothing will be, if that is known.
    init(tick: @escaping @Sendable () async -> Duration?) {
        let alarm = Alarm(clock: clock) { [weak self] in
            // Unstructured: it ends with the one operation that it performs.
            Task(executorPreference: RedisLoop.shared) {
                let pause = await tick()
                self?.expect(after: pause)
            }
        }
        self.alarm.withLock { $0 = alarm }
        expect(after: nil)
    }

    private func expect(after pause: Duration?) {
        let period = hasWorker.withLock { $0 } ? Self.workerPeriod : Self.clientPeriod
        hasten(min(pause ?? period, period))
    }

    /// Something is due after this long.
    func hasten(_ pause: Duration) {
        let late = Duration.milliseconds(Int64.random(in: 1...Self.spreadMilliseconds))
        alarm.withLock { $0 }?.set(clock.now() + max(.zero, pause) + late)
    }

    /// This client hosts actors from now on.
    func noteWorker() {
        let isNew = hasWorker.withLock { hasWorker in
            defer { hasWorker = true }
            return !hasWorker
        }
        if isNew { hasten(Self.workerPeriod) }
    }

    func cancel() {
        alarm.withLock { alarm in
            alarm?.cancel()
            alarm = nil
        }
    }
}
