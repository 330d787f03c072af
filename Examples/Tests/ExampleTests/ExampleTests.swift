import Foundation
import Testing

/// The exchanges that every example is tried on.
enum Place: String, CaseIterable, CustomTestStringConvertible {
    case embedded
    case redis

    var testDescription: String { rawValue }

    /// Starts what the exchange needs; the server, if there is one, lives as long as the second value.
    func open(_ scratch: Scratch) throws -> (url: String, server: Program?) {
        switch self {
        case .embedded:
            return ("embedded:\(scratch.path)/exchange", nil)
        case .redis:
            let socket = "\(scratch.path)/redis.sock"
            let server = try Program(
                "redis-server",
                [
                    "--port", "0", "--unixsocket", socket, "--dir", scratch.path, "--appendonly", "yes",
                    "--appendfsync", "always", "--save", "",
                ])
            _ = try #require(server.line(containing: "ready to accept connections"))
            return ("redis+unix://\(socket)", server)
        }
    }
}

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ExampleTests {
    @Test(arguments: Place.allCases) func counterKeepsItsCountOverAKilledWorker(_ place: Place) throws {
        let scratch = try Scratch()
        let (url, server) = try place.open(scratch)
        defer { server?.kill() }
        // Held by a process of its own, so that an embedded broker does not die with the worker.
        let first = try Program("counter", ["worker", "--exchange", url])
        let five = try Program("counter", ["add", "--exchange", url, "hits", "5"])
        #expect(five.line(containing: "5") != nil)
        #expect(five.wait() == 0)
        first.kill()
        let second = try Program("counter", ["worker", "--exchange", url])
        let two = try Program("counter", ["add", "--exchange", url, "hits", "2"])
        #expect(two.line(containing: "7") != nil)
        #expect(two.wait() == 0)
        let refused = try Program("counter", ["add", "--exchange", url, "hits", "--", "-1"])
        #expect(refused.line(containing: "refused -1") != nil)
        #expect(refused.wait() == 1)
        second.kill()
    }

    @Test(arguments: Place.allCases) func messagesWaitForAWorkerAndTheOutcomeForAnyone(_ place: Place) throws {
        let scratch = try Scratch()
        let (url, server) = try place.open(scratch)
        defer { server?.kill() }
        let send = try Program("logbook", ["send", "--exchange", url, "calm", "fog"])
        #expect(send.wait() == 0)
        let call = try #require(send.lines.last)
        let worker = try Program("logbook", ["worker", "--exchange", url])
        let collect = try Program("logbook", ["collect", "--exchange", url, call])
        #expect(collect.line(containing: "committed: line 3") != nil)
        #expect(collect.wait() == 0)
        worker.kill()
    }

    @Test(arguments: Place.allCases) func federatedLearningEndsAlikeWithAWorkerKilledInMidRound(_ place: Place) throws {
        let scratch = try Scratch()
        let (url, server) = try place.open(scratch)
        defer { server?.kill() }
        let workers = try (0..<3).map { _ in try Program("federated", ["worker", "--exchange", url, "--lease", "1s"]) }
        let train = try Program("federated", ["train", "--exchange", url, "--rounds", "8"])
        #expect(train.line(containing: "round 2 accuracy") != nil)
        // The third round has begun by now.
        workers[0].kill()
        #expect(train.line(containing: "bit by bit") != nil, "\(train.lines)")
        #expect(train.wait() == 0)
        #expect(train.lines.filter { $0.hasPrefix("round ") }.count == 8)
        for worker in workers { worker.kill() }
    }
}
