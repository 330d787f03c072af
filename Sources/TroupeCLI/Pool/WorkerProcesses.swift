import Subprocess
import SystemPackage
import TroupeCore

/// Copies of a user's worker executable, kept running until the task is cancelled.
struct WorkerProcesses: Sendable {
    /// The executable, and what it is started with.
    var executable: String
    var arguments: [String]
    var environment: [String: String]
    var count: Int
    /// What a worker gets to drain, from SIGTERM to SIGKILL.
    var stopTimeout: Duration
    var terminal: Terminal

    /// The words that make a program a worker. The exchange's URL goes by the environment: others can read the words of a
    /// process, and the URL may hold a password.
    static func arguments(pools: [String], extra: [String]) -> [String] {
        ["worker"] + pools.flatMap { ["--pool", $0] } + extra
    }

    /// Runs all of them. Cancellation sends each SIGTERM and, after ``stopTimeout``, SIGKILL; this returns when they have
    /// ended.
    func run() async throws {
        try await withThrowingTaskGroup { group in
            for number in 1...max(1, count) { group.addTask { try await keepRunning(number) } }
            try await group.waitForAll()
        }
    }

    private func keepRunning(_ number: Int) async throws {
        var policy = RestartPolicy()
        while !Task.isCancelled {
            let start = ContinuousClock.now
            let status = try await runOnce(number)
            guard !Task.isCancelled else { return }
            let wait = policy.wait(afterLifetime: start.duration(to: .now))
            terminal.note(
                "worker \(number) ended (\(status)); it is started again in \(Quantity.duration(wait))")
            do { try await Task.sleep(for: wait) } catch { return }
        }
    }

    private func runOnce(_ number: Int) async throws -> String {
        var platform = PlatformOptions()
        // A group of its own: Ctrl-C reaches this process only, which then stops its workers in order.
        platform.processGroupID = 0
        platform.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: stopTimeout)]
        let overrides = Dictionary(
            uniqueKeysWithValues: environment.compactMap { name, value in
                Environment.Key(rawValue: name).map { ($0, Optional(value)) }
            })
        do {
            let result = try await Subprocess.run(
                .path(FilePath(executable)), arguments: Arguments(arguments), environment: .inherit.updating(overrides),
                platformOptions: platform, input: .none, output: .currentStandardError, error: .currentStandardError
            ) { execution in
                terminal.note("worker \(number) runs as process \(execution.processIdentifier.value)")
            }
            return "\(result.terminationStatus)"
        } catch is CancellationError {
            return "stopped"
        } catch {
            guard !Task.isCancelled else { return "stopped" }
            throw Failure(
                .usage,
                "the worker '\(executable)' cannot be started: \(error); --worker takes an executable that links Troupe"
            )
        }
    }
}
