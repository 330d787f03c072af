import Synchronization

/// Calls back at the earliest time it was set to; setting a later time changes nothing.
package final class Alarm: Sendable {
    private struct Setting {
        var at: Timestamp
        var task: Task<Void, Never>
    }
    private let setting = Mutex<Setting?>(nil)
    private let clock: any ExchangeClock
    private let fire: @Sendable () -> Void

    package init(clock: any ExchangeClock, fire: @escaping @Sendable () -> Void) {
        self.clock = clock
        self.fire = fire
    }

    /// Makes sure that the alarm goes off at `time` or before.
    package func set(_ time: Timestamp) {
        setting.withLock { current in
            if let current, current.at <= time { return }
            current?.task.cancel()
            // Unstructured: it belongs to this object, which cancels it.
            let task = Task { [weak self, clock] in
                do { try await clock.sleep(until: time) } catch { return }
                self?.goOff(time)
            }
            current = Setting(at: time, task: task)
        }
    }

    private func goOff(_ time: Timestamp) {
        let isCurrent = setting.withLock { current in
            guard current?.at == time else { return false }
            current = nil
            return true
        }
        if isCurrent { fire() }
    }

    package func cancel() {
        setting.withLock { current in
            current?.task.cancel()
            current = nil
        }
    }

    deinit { cancel() }
}
