import Foundation
import Glibc
import TroupeTesting

/// The workers and callers of a soak.
struct SoakProcesses: Sendable {
    private let workers: [ChildProcess]
    private let callers: [ChildProcess]
    private let directory: String
    /// The files in which callers note what they were told.
    let logs: [String]

    /// Workers, not started.
    static func workers(
        _ options: Soak.Options, command: String, directory: String, url: String, on host: SoakHost
    ) -> [ChildProcess] {
        let lease = Int(options.lease / .milliseconds(1))
        return (0..<options.workers).map { number in
            host.process(
                [
                    command, "soak", "worker", "--exchange", url, "--lease", "\(lease)ms", "--passivate-after", "2s",
                ], standardError: "\(directory)/worker-\(number).err")
        }
    }

    /// - Parameters:
    ///   - workers: that run.
    ///   - site: where they are; nil if there is one only.
    ///   - until: seconds since 1970 after which callers begin nothing.
    ///   - giveUpAt: seconds since 1970 after which callers wait for nothing.
    init(
        workers: [ChildProcess], _ options: Soak.Options, command: String, directory: String, url: String,
        site: String?, on host: SoakHost, run: String, until: Double, giveUpAt: Double
    ) {
        self.workers = workers
        self.directory = directory
        let logs = (0..<options.callers).map { "\(directory)/caller-\($0).log" }
        self.logs = logs
        callers = (0..<options.callers).map { number in
            host.process(
                [
                    command, "soak", "caller", "--exchange", url, "--name", Cast.caller(number, at: site), "--log",
                    logs[number], "--seed", "\(options.seed)", "--run-id", run, "--lanes", "\(options.lanes)",
                    "--actors", "\(options.actors)", "--until", "\(until)", "--give-up-at", "\(giveUpAt)",
                    "--operations-max", "\(options.operationsMax)",
                ] + (site == nil ? [] : ["--across-sites"]),
                standardError: "\(directory)/caller-\(number).err")
        }
    }

    func startCallers() throws {
        for caller in callers { try caller.start() }
    }

    // MARK: Faults

    func worker(_ victim: Int) -> ChildProcess { workers[victim % workers.count] }

    func caller(_ victim: Int) -> ChildProcess { callers[victim % callers.count] }

    /// Workers and callers.
    var members: [(process: ChildProcess, isWorker: Bool)] {
        workers.map { ($0, true) } + callers.map { ($0, false) }
    }

    /// Stops a worker for that long; others take over, and it must change nothing when it wakes up.
    func pauseWorker(_ victim: Int, for duration: Duration) {
        let worker = worker(victim)
        guard let pid = worker.pid else { return }
        worker.signal(SIGSTOP)
        // Unstructured: it ends with the pause; a process that was started in place of this one has another number.
        Task {
            try? await Task.sleep(for: duration)
            if worker.pid == pid { worker.signal(SIGCONT) }
        }
    }

    /// Starts again what has ended without having been killed by the soak.
    ///
    /// - Parameter callersToo: whether callers have no reason yet to end.
    /// - Returns: a sentence for each of them.
    func restartCrashed(callersToo: Bool) throws -> [String] {
        var crashed: [String] = []
        let named =
            workers.enumerated().map { ("worker-\($0)", $1) }
            + (callersToo ? callers.enumerated().map { ("caller-\($0)", $1) } : [])
        for (name, process) in named where process.pid != nil && !process.isRunning {
            crashed.append("\(name) ended by itself: \(Self.text(process.wait())); see \(directory)/\(name).err")
            try process.start()
        }
        return crashed
    }

    // MARK: The end

    /// Callers that have not ended.
    var callersRunning: Int { callers.count(where: \.isRunning) }

    /// Ends the callers that are still there.
    ///
    /// - Returns: a sentence for each that did not end by itself with success.
    func endCallers() async -> [String] {
        var complaints: [String] = []
        for (number, caller) in callers.enumerated() {
            let isLate = caller.isRunning
            let ending = await offPool { isLate ? caller.kill() : caller.wait() }
            guard isLate || ending != .exited(0) else { continue }
            let what = isLate ? "did not end" : "ended: \(Self.text(ending))"
            complaints.append("caller-\(number) \(what); see \(directory)/caller-\(number).err")
        }
        return complaints
    }

    /// Asks the workers to end; one that does not is killed.
    func stopWorkers() async -> [String] {
        var complaints: [String] = []
        for (number, worker) in workers.enumerated() {
            worker.signal(SIGCONT)
            if await !worker.ends(before: .seconds(30)) {
                complaints.append("worker-\(number) did not end within 30 s of SIGTERM")
            }
        }
        return complaints
    }

    private static func text(_ ending: ChildProcess.Ending?) -> String {
        switch ending {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(number)"
        case nil: "unknown"
        }
    }
}

extension ChildProcess {
    /// Asks it to end, and kills it if it does not in that time.
    func ends(before limit: Duration) async -> Bool {
        guard let pid else { return true }
        let end = try? await within(limit, "the process") { await offPool { self.terminate() } }
        if end == nil { Glibc.kill(pid, SIGKILL) }
        return end != nil
    }
}
