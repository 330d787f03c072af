import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("What a relay decides")
struct RelayMachineTests {
    private let start = ContinuousClock.now

    /// A machine with endpoints logged in, each on the connection of its place.
    private func machine(
        _ members: [RelayMember], _ configure: (inout RelayLimits) -> Void = { _ in }
    ) -> RelayMachine {
        var limits = RelayLimits()
        configure(&limits)
        var machine = RelayMachine(limits: limits)
        for (index, member) in members.enumerated() {
            #expect(machine.open(id(index), address: "192.0.2.1") == nil)
            _ = machine.login(id(index), as: member, expires: nil, now: start)
        }
        return machine
    }

    private func id(_ index: Int) -> ConnectionID { ConnectionID(number: UInt64(index)) }

    private func members(_ count: Int, tenant: String = "t") -> [RelayMember] {
        (0..<count).map { _ in RelayMember(tenant: tenant, id: EndpointKey().id) }
    }

    private func made(_ actions: [RelayMachine.Action]) -> PipeToken? {
        for case .send(_, .pipe(_, let token)) in actions { return token }
        return nil
    }

    @Test("a pipe is joined when both ends are there, whoever comes first, and ends with either")
    func pipe() throws {
        let both = members(2)
        for order in [[0, 1], [1, 0]] {
            for closing in [0, 1] {
                var machine = machine(both)
                let asked = machine.handle(.connect(request: 5, to: both[1].id), from: id(0), now: start)
                let token = try #require(made(asked))
                #expect(asked.contains(.send(id(1), .incoming(from: both[0].id, token: token))))
                for index in [10, 11] { #expect(machine.open(id(index), address: "192.0.2.2") == nil) }
                let first = try machine.claim(token, id(10 + order[0]), as: both[order[0]]).get()
                #expect(first == [])
                let second = try machine.claim(token, id(10 + order[1]), as: both[order[1]]).get()
                #expect(second.last == .join(id(10), id(11)))
                #expect(machine.tenant(ofPipeEnd: id(10)) == "t")
                #expect(machine.close(id(10 + closing)) == [.finish(id(11 - closing))])
                #expect(machine.close(id(11 - closing)) == [])
                #expect(machine.pipes.isEmpty && machine.pipeCounts.isEmpty)
            }
        }
    }

    @Test("a pipe's bytes are held to its own rate and to the tenant's")
    func rates() throws {
        let both = members(2)
        var machine = machine(both) { limits in
            limits.pipeBytesPerSecond = 1000
            limits.tenantBytesPerSecond = 1500
        }
        var pipes: [[ConnectionID]] = []
        for pipe in 0..<2 {
            let asked = machine.handle(.connect(request: 1, to: both[1].id), from: id(0), now: start)
            let token = try #require(made(asked))
            let ends = [id(10 + 2 * pipe), id(11 + 2 * pipe)]
            for (end, member) in zip(ends, both) {
                #expect(machine.open(end, address: nil) == nil)
                _ = try machine.claim(token, end, as: member).get()
            }
            pipes.append(ends)
        }
        #expect(machine.forward(1000, from: pipes[0][0], now: start) == .zero)
        // Both directions are one pipe.
        #expect(machine.forward(500, from: pipes[0][1], now: start) == .milliseconds(500))
        // The other pipe has its own share, and the tenant has none any more.
        #expect(machine.forward(300, from: pipes[1][0], now: start) == .milliseconds(200))
        #expect(machine.forward(100, from: pipes[1][0], now: start + .seconds(10)) == .zero)
    }

    @Test("who is told to go is gone for the others at once, and is counted until he is")
    func leaving() throws {
        let both = members(2)
        var machine = machine(both) { $0.connectionCountMax = 2 }
        _ = machine.handle(.watch([both[1].id]), from: id(0), now: start)
        let gone = RelayMachine.Action.send(id(0), .presence(present: [], absent: [both[1].id]))
        #expect(machine.leave(id(1)) == [gone])
        #expect(!machine.isHere(id(1)))
        #expect(machine.handle(.signal(request: 1, to: both[1].id, bytes: []), from: id(0), now: start).count == 1)
        #expect(machine.open(id(2), address: "192.0.2.1") == .connections)
        #expect(machine.close(id(1)) == [])
        #expect(machine.open(id(2), address: "192.0.2.1") == nil)
    }

    @Test("nothing is left of whoever has gone, after any order of things", arguments: 1...20)
    func nothingIsLeft(_ seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let all = members(4, tenant: "a") + members(4, tenant: "b")
        var machine = machine([]) { $0.pipesPerEndpointMax = 3 }
        var open: [ConnectionID] = []
        var tokens: [PipeToken] = []
        for step in 0..<2000 {
            let now = start + .milliseconds(step * 20)
            let connection = open.randomElement(using: &random)
            switch Int.random(in: 0..<9, using: &random) {
            case 0, 1:
                if machine.open(id(step), address: "192.0.2.\(step % 3)") == nil { open.append(id(step)) }
            case 2:
                let member = all[Int.random(in: 0..<all.count, using: &random)]
                if let connection { _ = machine.login(connection, as: member, expires: nil, now: now) }
            case 3:
                let ids = (0..<3).map { _ in all[Int.random(in: 0..<all.count, using: &random)].id }
                if let connection { _ = machine.handle(.watch(ids), from: connection, now: now) }
            case 4:
                let ids = [all[Int.random(in: 0..<all.count, using: &random)].id]
                if let connection { _ = machine.handle(.unwatch(ids), from: connection, now: now) }
            case 5:
                let target = all[Int.random(in: 0..<all.count, using: &random)].id
                if let connection {
                    let asked = machine.handle(.connect(request: 1, to: target), from: connection, now: now)
                    if let token = made(asked) { tokens.append(token) }
                }
            case 6:
                let member = all[Int.random(in: 0..<all.count, using: &random)]
                if let connection, let token = tokens.randomElement(using: &random) {
                    _ = machine.claim(token, connection, as: member)
                }
            case 7:
                _ = machine.tick(now: now)
            case _:
                if let connection {
                    if Bool.random(using: &random) { _ = machine.leave(connection) }
                    _ = machine.close(connection)
                    open.removeAll { $0 == connection }
                }
            }
            #expect(machine.strangerCount >= 0 && machine.connections.count == open.count)
        }
        for connection in open { _ = machine.close(connection) }
        _ = machine.tick(now: start + .seconds(3600))
        #expect(machine.connections.isEmpty && machine.present.isEmpty && machine.watchers.isEmpty)
        #expect(machine.pipes.isEmpty && machine.pipeCounts.isEmpty && machine.strangerCount == 0)
        #expect(machine.open(id(1_000_000), address: "192.0.2.0") == nil)
    }
}

@Suite("What a relay's parsers make of anything")
struct RelayParserTests {
    private static let requests: [RelayRequest] = {
        let ids = (0..<3).map { _ in EndpointKey().id }
        return [
            .login(
                RelayLogin(
                    id: ids[0], site: "site", tenant: "t", signature: [UInt8](repeating: 7, count: 64), token: "x")),
            .login(RelayLogin(id: ids[0], site: "", tenant: "t", signature: [], token: nil)), .watch(ids), .watch([]),
            .unwatch(ids), .signal(request: 1, to: ids[1], bytes: [1, 2, 3]), .connect(request: .max, to: ids[2]),
        ]
    }()

    private static let events: [RelayEvent] = {
        let ids = (0..<3).map { _ in EndpointKey().id }
        return [
            .challenge(bytes: [1, 2], relay: "r"),
            .welcome(RelayWelcome(frameSizeBytesMax: 1, signalSizeBytesMax: 2, isForwarding: true)),
            .refused(request: nil, reason: "a", detail: "b"), .refused(request: 3, reason: "a", detail: "b"),
            .accepted(request: 0), .presence(present: ids, absent: []), .signal(from: ids[0], bytes: []),
            .pipe(request: 1, token: PipeToken()), .incoming(from: ids[0], token: PipeToken()), .ready,
        ]
    }()

    private func decode<Message: Decodable>(_ type: Message.Type, _ bytes: [UInt8]) throws -> Message {
        try RelayCoding.decode(from: bytes, sizeBytesMax: 64 << 10)
    }

    @Test("messages come back as they were")
    func roundTrip() throws {
        for request in Self.requests { #expect(try decode(RelayRequest.self, RelayCoding.encode(request)) == request) }
        for event in Self.events { #expect(try decode(RelayEvent.self, RelayCoding.encode(event)) == event) }
    }

    @Test("messages that were changed are read or refused, and what is read can be written again", arguments: 1...20)
    func fuzz(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let originals = Self.requests.map { RelayCoding.encode($0) } + Self.events.map { RelayCoding.encode($0) }
        for _ in 0..<500 {
            var bytes = originals[Int.random(in: 0..<originals.count, using: &random)]
            for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                case _: bytes = Array(bytes.prefix(place))
                }
            }
            if let request = try? decode(RelayRequest.self, bytes) {
                #expect(try decode(RelayRequest.self, RelayCoding.encode(request)) == request)
            }
            if let event = try? decode(RelayEvent.self, bytes) {
                #expect(try decode(RelayEvent.self, RelayCoding.encode(event)) == event)
            }
        }
    }

    @Test("messages that are too large, deep or long are refused before they cost anything")
    func bounds() {
        let large = RelayCoding.encode(
            RelayRequest.signal(request: 1, to: EndpointKey().id, bytes: [UInt8](repeating: 0, count: 64 << 10)))
        #expect(throws: EndpointError.self) { try decode(RelayRequest.self, large) }
        let deep = [UInt8](repeating: 0x81, count: 1000) + [0]
        #expect(throws: EndpointError.self) { try decode(RelayRequest.self, deep) }
        let many = [0x99, 0xFF, 0xFF] + [UInt8](repeating: 0, count: 0xFFFF)
        #expect(throws: EndpointError.self) { try RelayCoding.decode([UInt64].self, from: many, sizeBytesMax: 1 << 20) }
        // A byte string that claims more than there is.
        #expect(throws: EndpointError.self) { try decode(RelayRequest.self, [0x5B, 0x7F, 0, 0, 0, 0, 0, 0, 0]) }
    }

    @Test(
        "URLs of relays",
        arguments: [
            ("wss://relay.example.org", "relay.example.org", 443, "relay.example.org", ""),
            ("ws://h:7443/", "h", 7443, "h:7443", ""), ("wss://h/a/b/", "h", 443, "h", "/a/b"),
            ("ws://[::1]:1", "::1", 1, "[::1]:1", ""), ("WSS://h:443", "h", 443, "h", ""),
        ])
    func urls(_ text: String, _ host: String, _ port: Int, _ authority: String, _ path: String) throws {
        let url = try RelayURL(text)
        #expect(url.host == host && url.port == port && url.authority == authority && url.path == path)
        #expect(url.name == host)
    }

    @Test(
        "URLs that are none",
        arguments: [
            "", "relay", "http://h", "wss://", "wss://u:p@h", "wss://h#f", "wss://h?x=1", "wss://h?name=", "wss://h:0",
            "wss://h:99999", "wss://h?name=a&name=b",
        ])
    func wrongURLs(_ text: String) {
        #expect(throws: EndpointError.self) { try RelayURL(text) }
    }

    @Test("a URL may say another name for the relay")
    func namedURL() throws {
        #expect(try RelayURL("wss://10.0.0.7?name=relay.example.org").name == "relay.example.org")
    }
}
