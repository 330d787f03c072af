import TroupeCore

/// When a worker that crashed is started again: after waits that double; one that lived long
/// enough is trusted anew.
struct RestartPolicy: Sendable, Equatable {
    var firstWait = Duration.milliseconds(200)
    var longestWait = Duration.seconds(10)
    /// A worker that ran this long is not in a loop of crashes.
    var stableAfter = Duration.seconds(30)
    private(set) var crashCount = 0

    init() {}

    /// The wait before the next start, after a worker ran for `lifetime`.
    mutating func wait(afterLifetime lifetime: Duration) -> Duration {
        if lifetime >= stableAfter { crashCount = 0 }
        crashCount += 1
        return BackOff(first: firstWait, longest: longestWait).pause(after: crashCount)
    }
}
