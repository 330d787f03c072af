import ArgumentParser
import Testing
import TroupeCore

@testable import TroupeCLI

@Suite struct CommandLineTests {
    @Test(arguments: [
        ["nonsense"], ["actor", "ls", "--timeout", "5"], ["actor", "ls", "--limit", "0"], ["mailbox", "peek"],
        ["mailbox", "peek", "a/b", "--limit", "1001"], ["mailbox", "peek", "a/b", "--bytes", "-1"],
        ["actor", "ls", "--label", "x"], ["mailbox", "tail", "a/b", "--interval", "1ms"],
        ["exchange", "ping", "--count", "0"],
        ["broker"], ["broker", "--listen", "ipc:///a", "--durability", "durable"], ["up", "--workers", "0"],
        ["actor", "show", "a/\u{1B}"],
    ])
    func refusesMalformedLines(_ words: [String]) async {
        let run = await CommandRun.of(words, on: .inMemory())
        #expect(run.exitCode == 64)
        #expect(run.failure?.message.contains("\n") == false)
        #expect(run.lines.isEmpty)
    }

    @Test func leavesHelpToTheParser() {
        for words in [["--help"], ["actor", "call", "--help"], ["--version"], ["help", "up"]] {
            #expect {
                var command = try TroupeCommand.parseAsRoot(words)
                try command.run()
            } throws: { error in
                Failure(reporting: error) == nil
            }
        }
    }

    @Test func helpTeaches() {
        #expect(TroupeCommand.helpMessage().contains("EXIT CODES"))
        #expect(TroupeCommand.helpMessage(for: ActorCall.self).contains("troupe actor call hits add 5"))
    }

    @Test func mapsErrorsToExitCodes() {
        #expect(Failure(ExchangeError(.unreachable, "x")).kind == .unavailable)
        #expect(Failure(ExchangeError(.deadlineExceeded, "x")).kind == .unavailable)
        #expect(Failure(ExchangeError(.noSuchActor, "x")).kind == .refused)
        #expect(Failure(ExchangeError(.invalidArgument, "x")).kind == .usage)
        #expect(Failure(reporting: CancellationError())?.kind == .unavailable)
    }

    @Test func knowsWhatAURLNeeds() {
        #expect(ExchangeKind(url: "embedded:") == .opened)
        #expect(ExchangeKind(url: "redis://h:1/0") == .opened)
        #expect(ExchangeKind(url: "ipc:///a") == .broker)
        #expect(ExchangeKind(url: "tls+tcp://h:1") == .broker)
        #expect(ExchangeKind(url: "memory:") == .processLocal)
    }

    @Test func describesBrokers() throws {
        let parsed = try BrokerCommand.parse(["--listen", "ipc:///a", "--listen", "tcp://b:1", "--journal", "dir"])
        #expect(
            parsed.journal.configuration(listen: parsed.listen)
                == BrokerConfiguration(
                    listen: ["ipc:///a", "tcp://b:1"], journalDirectory: "dir", durability: .durable,
                    syncInterval: .milliseconds(100), journalSizeBytesMax: nil))
        #expect(try BrokerCommand.parse(["--listen", "ipc:///a"]).journal.effectiveDurability == .volatile)
    }

    @Test func startsWorkersForTheExchange() throws {
        #expect(
            WorkerProcesses.arguments(pools: ["x", "y"], extra: ["--max-activations", "5"])
                == ["worker", "--pool", "x", "--pool", "y", "--max-activations", "5"])
        let up = try UpCommand.parse(["--worker", "./app", "--", "--max-activations", "5"])
        #expect(up.workerArguments == ["--max-activations", "5"])
    }

    @Test func timeLimitsDoNotWaitForWhatHangs() async throws {
        let (never, end) = AsyncStream.makeStream(of: Void.self)
        let failure = await #expect(throws: Failure.self) {
            try await TimeLimit.run(.milliseconds(5), else: Failure(.unavailable, "late")) {
                // Deaf to cancellation.
                await Task { for await _ in never {} }.value
            }
        }
        end.finish()
        #expect(failure == Failure(.unavailable, "late"))
        #expect(try await TimeLimit.run(.seconds(60), else: Failure(.unavailable, "late")) { 5 } == 5)
        #expect(try await TimeLimit.run(nil, else: Failure(.unavailable, "late")) { 6 } == 6)
    }
}
