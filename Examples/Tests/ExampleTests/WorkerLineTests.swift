import Foundation
import Testing

/// What a worker's command line refuses, for executors that see nothing but the exit code.
@Suite(.timeLimit(.minutes(2)))
struct WorkerLineTests {
    @Test(arguments: [
        ["--lease", "x"], ["--lease", "1ms"], ["--max-activations", "0"], ["--pool", ""], ["--once", "bad"],
        ["--idle-exit", "-1s"], ["--nonsense"],
    ])
    func malformedLinesAreUsageErrors(_ words: [String]) throws {
        let worker = try Program("counter", ["worker", "--exchange", "memory:"] + words)
        #expect(worker.wait() == 64)
    }

    @Test(arguments: [
        ["--exchange", "nonsense"], ["--exchange", "ipc:///tmp/troupe-none"], ["--exchange", "embedded:/dev/null"],
        ["--exchange", "memory:", "--once", "Counter/none"], ["--exchange", "memory:", "--once", "Unknown/x"],
    ])
    func whatCannotBeHostedIsAFailure(_ words: [String]) throws {
        let worker = try Program("counter", ["worker"] + words)
        #expect(worker.wait() == 1)
    }

    @Test func oneThatIsIdleEndsInOrder() throws {
        let worker = try Program("counter", ["worker", "--exchange", "memory:", "--idle-exit", "100ms"])
        #expect(worker.wait() == 0)
    }
}
