import Foundation
import Glibc
import Testing
import TroupeTesting

@testable import TroupeSoak

/// The relay between real processes, and what its harms do.
@Suite struct RelayTests {
    private func directory() throws -> String {
        var template = Array("/tmp/troupe-relay-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A server that answers each line, asked through the relay by processes, whose links are then harmed.
    @Test(.timeLimit(.minutes(2))) func theRelayHarmsTheLinksOfOneProcess() throws {
        let directory = try directory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let server = ChildProcess(["redis-server", "--port", "0", "--unixsocket", "\(directory)/server", "--save", ""])
        try server.start()
        #expect(server.line(containing: "eady to accept") != nil)
        let relay = try Relay(from: .unix("\(directory)/front"), to: .unix("\(directory)/server"))
        relay.start()
        defer { relay.stop() }
        let one = try client(directory)
        let other = try client(directory)
        let pid: Int32 = try #require(one.pid)
        #expect(try ask(one) && ask(other))
        // Unanswered while it lasts; the answer comes late, by the same connection.
        relay.harm(pid, .blackHole, for: .seconds(2))
        var waited = Duration.zero
        // The relay looks for harms many times a second; until it has, answers come at once.
        for _ in 0..<100_000 where waited < .seconds(1) {
            let begin = ContinuousClock.now
            guard try ask(one) else { break }
            waited = .now - begin
        }
        #expect(waited >= .seconds(1))
        #expect(try ask(one) && ask(other))
        relay.harm(pid, .cut, for: .seconds(100))
        var isCut = false
        for _ in 0..<100_000 where !isCut { isCut = try !ask(one) }
        #expect(isCut)
        #expect(try ask(other))
        server.kill()
    }

    /// Sends a PING by its one connection whenever it gets SIGUSR1, and says what came.
    private func client(_ directory: String) throws -> ChildProcess {
        let script = """
            import signal, socket, sys
            link = socket.socket(socket.AF_UNIX)
            link.connect(sys.argv[1])
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            print("ready", flush=True)
            while True:
                signal.sigwait([signal.SIGUSR1])
                try:
                    link.sendall(b"PING\\r\\n")
                    print("answer" if link.recv(100) else "closed", flush=True)
                except OSError:
                    print("closed", flush=True)
            """
        let client = ChildProcess(["python3", "-c", script, "\(directory)/front"])
        try client.start()
        #expect(client.line() == "ready")
        return client
    }

    private func ask(_ client: ChildProcess) throws -> Bool {
        client.signal(SIGUSR1)
        return client.line() == "answer"
    }

    // MARK: Ports

    /// A redis-server at a port, and a relay in front of it.
    private func server(_ directory: String) throws -> (ChildProcess, Relay, RelayAddress) {
        let (port, front) = (try RedisServer.freePort(), try RedisServer.freePort())
        let server = ChildProcess(["redis-server", "--port", "\(port)", "--dir", directory, "--save", ""])
        try server.start()
        #expect(server.line(containing: "eady to accept") != nil)
        let relay = try Relay(from: .port(front), to: .port(port))
        relay.start()
        return (server, relay, .port(front))
    }

    /// Sends a command, and waits for so many bytes; false if the connection ends before, nil if it is silent so long.
    private func ask(_ link: Int32, _ command: String, _ count: Int = 7, silence: Int32 = 60_000) -> Bool? {
        guard send(link, command, command.utf8.count, Int32(MSG_NOSIGNAL)) == command.utf8.count else { return false }
        return answer(link, count, silence: silence)
    }

    private func answer(_ link: Int32, _ count: Int, silence: Int32 = 60_000) -> Bool? {
        var left = count
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        while left > 0 {
            var polled = pollfd(fd: link, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, silence) > 0 else { return nil }
            let read = recv(link, &bytes, min(left, bytes.count), 0)
            guard read > 0 else { return false }
            left -= read
        }
        return true
    }

    @Test(.timeLimit(.minutes(2))) func aPortsLinksAreCutStalledAndMended() throws {
        let directory = try directory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (server, relay, front) = try server(directory)
        defer { relay.stop() }
        let link = try #require(front.connected())
        defer { close(link) }
        #expect(ask(link, "PING\r\n") == true)
        // What is on the way stays there, and the link holds, however many harms of the kind come.
        relay.harm(nil, .blackHole, for: .seconds(1000))
        relay.harm(nil, .blackHole, for: .zero)
        var asked = 0
        while asked < 100_000, ask(link, "PING\r\n", silence: 300) == true { asked += 1 }
        #expect(asked < 100_000)
        relay.mend()
        #expect(answer(link, 7) == true)
        relay.harm(nil, .cut, for: .seconds(1000))
        #expect(answer(link, 1) == false)
        let refused = try #require(front.connected())
        #expect(answer(refused, 1) == false)
        close(refused)
        relay.mend()
        // The relay looks many times a second whether it is mended.
        var isBack = false
        for _ in 0..<10_000 where !isBack {
            let next = try #require(front.connected())
            isBack = ask(next, "PING\r\n") == true
            close(next)
        }
        #expect(isBack)
        server.kill()
    }

    @Test(.timeLimit(.minutes(2))) func aThrottledLinkPassesAllOnSlowly() throws {
        let directory = try directory()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (server, relay, front) = try server(directory)
        defer { relay.stop() }
        let link = try #require(front.connected())
        defer { close(link) }
        let size = 200_000
        #expect(ask(link, "SETRANGE key \(size - 1) x\r\n", ":\(size)\r\n".utf8.count) == true)
        relay.harm(nil, .throttle, for: .seconds(1000))
        // The relay may not have looked yet; from then on no answer comes in less than its time.
        var took = Duration.zero
        for _ in 0..<10_000 where took < .seconds(2) {
            let begin = ContinuousClock.now
            #expect(ask(link, "GET key\r\n", size + "$\(size)\r\n\r\n".utf8.count) == true)
            took = .now - begin
        }
        #expect(took >= .seconds(2))
        server.kill()
    }
}
