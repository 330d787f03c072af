import Glibc
import Testing

@testable import TroupeBroker

@Suite struct EmbeddedTests {
    let scratch = Scratch()

    private func isLeader(_ place: EmbeddedPlace) throws -> Bool {
        if case .leader = try EmbeddedElection.acquire(place) { true } else { false }
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test func theFirstLeadsAndTheNextFollows() throws {
        let place = EmbeddedPlace(scratch.file("a/b/c"))
        guard case .leader(let leadership) = try EmbeddedElection.acquire(place) else { return #expect(Bool(false)) }
        #expect(leadership.socketPath == place.directory + "/broker.sock")
        guard case .follower(let path) = try EmbeddedElection.acquire(place) else { return #expect(Bool(false)) }
        #expect(path == leadership.socketPath)
        #expect(mode(place.directory) == 0o700)
        #expect(mode(place.directory + "/broker.lock") == 0o600)
        #expect(mode(place.directory + "/broker.address") == 0o600)
        withExtendedLifetime(leadership) {}
    }

    @Test func lettingGoFreesTheLeadership() throws {
        let place = EmbeddedPlace(scratch.file("x"))
        #expect(try isLeader(place))
        #expect(try isLeader(place))
    }

    /// A real process leads, is killed, and leaves its lock to us and its stale socket to be removed.
    @Test func anotherTakesOverFromAKilledLeader() async throws {
        let place = EmbeddedPlace(scratch.file("x"))
        try FileSystem.makePrivateDirectory(place.directory)
        let leader = try Python(
            """
            import fcntl, os, socket, sys, time
            f = open(sys.argv[1] + "/broker.lock", "w"); fcntl.flock(f, fcntl.LOCK_EX)
            s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1] + "/broker.sock"); s.listen()
            print("leading", flush=True)
            time.sleep(1000)
            """, [place.directory])
        #expect(try !isLeader(place))
        #expect(FileSystem.exists(place.socketPath))
        leader.killAndReap()
        guard case .leader(let leadership) = try EmbeddedElection.acquire(place) else { return #expect(Bool(false)) }
        #expect(!FileSystem.exists(place.socketPath))
        let replier = try NNGReplier { $0.reply(Frame(.answer, [1])) }
        defer { replier.close() }
        try replier.listen(NNGAddress(url: "ipc://" + leadership.socketPath))
        guard case .follower(let path) = try EmbeddedElection.acquire(place) else { return #expect(Bool(false)) }
        let requester = try NNGRequester(NNGAddress(url: "ipc://" + path))
        #expect(try await requester.request(Frame(.operation), timeout: .seconds(20)).body == [1])
    }

    @Test func onlyOneOfManyLeads() async throws {
        let place = EmbeddedPlace(scratch.file("x"))
        let roles = try await withThrowingTaskGroup(of: EmbeddedElection.Role.self) { group in
            for _ in 0..<16 { group.addTask { try EmbeddedElection.acquire(place) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(roles.count { if case .leader = $0 { true } else { false } } == 1)
    }

    @Test func aLongDirectoryGetsAShortSocket() throws {
        let place = EmbeddedPlace(scratch.file(String(repeating: "d", count: 150)))
        guard case .leader(let leadership) = try EmbeddedElection.acquire(place) else { return #expect(Bool(false)) }
        #expect(leadership.socketPath.utf8.count <= SocketPath.bytesMax)
        guard case .follower(let path) = try EmbeddedElection.acquire(place) else { return #expect(Bool(false)) }
        #expect(path == leadership.socketPath)
        let replier = try NNGReplier { $0.reply($0.frame) }
        try replier.listen(NNGAddress(url: "ipc://" + path))
        replier.close()
        #expect(EmbeddedPlace(scratch.file(String(repeating: "e", count: 150))).socketPath != path)
        FileSystem.remove(path)
    }

    @Test func whatIsNotASocketIsLeft() throws {
        let place = EmbeddedPlace(scratch.path)
        let path = try scratch.write("broker.sock", [1, 2, 3])
        #expect(failure { () throws(BrokerError) in try EmbeddedElection.acquire(place) }?.code == .addressInUse)
        #expect(try FileSystem.read(path) == [1, 2, 3])
    }

    @Test func aBrokerOfAnotherHostIsNamed() throws {
        let place = EmbeddedPlace(scratch.path)
        guard case .leader(let leadership) = try EmbeddedElection.acquire(place) else { return #expect(Bool(false)) }
        try FileSystem.replace(place.noticePath, with: Array("/x\n1\nfar-away\n".utf8))
        let error = failure { () throws(BrokerError) in try EmbeddedElection.acquire(place) }
        #expect(error?.code == .busy)
        #expect(error?.message.contains("far-away") == true)
        withExtendedLifetime(leadership) {}
    }

    @Test func directoriesThatCannotBe() throws {
        let file = try scratch.write("file", [])
        #expect(failure { () throws(BrokerError) in try EmbeddedElection.acquire(EmbeddedPlace(file)) } != nil)
        let error = failure { () throws(BrokerError) in try EmbeddedElection.acquire(EmbeddedPlace("/sys/troupe")) }
        #expect(error?.code == .permission)
        #expect(error?.message.contains("/sys/troupe") == true)
    }

    @Test func theStandardPlace() {
        #expect(EmbeddedPlace(nil) { $0 == "XDG_STATE_HOME" ? "/s" : nil }.directory == "/s/troupe/embedded")
        #expect(EmbeddedPlace(nil) { $0 == "HOME" ? "/h" : nil }.directory == "/h/.local/state/troupe/embedded")
        #expect(EmbeddedPlace("/x/").directory == "/x")
    }
}
