import Foundation
import TroupeTesting

#if canImport(Glibc)
    import Glibc
#endif

/// The workers and callers of a soak.
struct SoakProcesses {
    private let options: Soak.Options
    private let callerCommand: (Int) -> [String]
    private var workers: [ChildProcess] = []
    private var callers: [ChildProcess] = []
    private let directory: String
    private let workerCommand: [String]

    init(_ options: Soak.Options, command: String, directory: String, url: String, until: Double) {
        self.options = options
        self.directory = directory
        workerCommand = [
            command, "soak", "worker", "--exchange", url, "--lease",
            "\(Int(options.lease / .milliseconds(1)))ms", "--passivate-after", "2s",
        ]
        callerCommand = { number in
            [
                command, "soak", "caller", "--exchange", url, "--name", "c\(number)", "--log",
                Self.log(number, directory), "--seed", "\(options.seed)", "--lanes", "\(options.lanes)", "--actors",
                "\(options.actors)", "--until", "\(until)", "--operations-max", "\(options.operationsMax)",
            ]
        }
    }

    private static func log(_ number: Int, _ directory: String) -> String { "\(directory)/caller-\(number).log" }

    var logs: [String] { (0..<options.callers).map { Self.log($0, directory) } }

    mutating func start() throws {
        for number in 0..<options.workers { workers.append(try started(workerCommand, "worker-\(number)")) }
        for number in 0..<options.callers { callers.append(try started(callerCommand(number), "caller-\(number)")) }
    }

    private func started(_ command: [String], _ name: String) throws -> ChildProcess {
        let process = ChildProcess(command, standardError: "\(directory)/\(name).err")
        try process.start()
        return process
    }

    func pidOfWorker(_ victim: Int) -> Int32? { workers[victim % workers.count].pid }

    mutating func killAndRestartWorker(_ victim: Int) throws {
        let worker = workers[victim % workers.count]
        worker.kill()
        try worker.start()
    }

    mutating func killAndRestartCaller(_ victim: Int) throws {
        let caller = callers[victim % callers.count]
        caller.kill()
        try caller.start()
    }

    /// Stops a worker for that long; others take over, and it must change nothing when it wakes up.
    func pauseWorker(_ victim: Int, for duration: Duration) {
        let worker = workers[victim % workers.count]
        guard let pid = worker.pid else { return }
        worker.signal(SIGSTOP)
        // Unstructured: it ends with the pause; a process that was started in place of this one has another number.
        Task {
            try? await Task.sleep(for: duration)
            if worker.pid == pid { worker.signal(SIGCONT) }
        }
    }

    /// Lets the callers end by themselves: they have learnt then what became of all that they began.
    func finishCallers() async throws {
        for caller in callers {
            let ending = await Self.offPool { caller.wait() }
            guard ending == .exited(0) else {
                throw ChildProcess.Failure(
                    description:
                        "a caller ended with \(ending.map { "\($0)" } ?? "nothing"); its words are in \(directory)")
            }
        }
    }

    func stopWorkers() async {
        for worker in workers {
            worker.signal(SIGCONT)
            _ = await Self.offPool { worker.terminate() }
        }
    }

    /// Waits for a process where no task waits for the thread.
    private static func offPool<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: body()) }
        }
    }
}
