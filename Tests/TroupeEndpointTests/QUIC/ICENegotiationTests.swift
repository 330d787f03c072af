import Testing

@testable import TroupeEndpoint

@Suite("What two endpoints tell each other to find a path")
struct ICENegotiationTests {
    /// Two sides and the messages between them; each action that is not a message is noted.
    private struct Table {
        var sides: [ICENegotiation]
        var queues: [[SignalMessage]] = [[], []]
        var noted: [[ICENegotiation.Action]] = [[], []]
        let keys: [EndpointID]

        init() {
            let keys = [EndpointKey().id, EndpointKey().id].sorted {
                $1.publicKey.lexicographicallyPrecedes($0.publicKey)
            }
            self.keys = keys
            sides = [
                ICENegotiation(own: keys[0], peer: keys[1], random: 100),
                ICENegotiation(own: keys[1], peer: keys[0], random: 200),
            ]
        }

        mutating func act(_ side: Int, _ actions: [ICENegotiation.Action]) {
            for action in actions {
                switch action {
                case .send(let message): queues[1 - side].append(message)
                case .begin(let attempt):
                    noted[side].append(action)
                    let name = "\(side)-\(attempt)"
                    act(side, sides[side].began(attempt, credentials: ICECredentials(user: name, password: name)))
                    act(side, sides[side].found("candidate of \(name)", in: attempt))
                    act(side, sides[side].gathered(in: attempt))
                case .setRemote, .addRemote, .remoteComplete: noted[side].append(action)
                }
            }
        }

        mutating func start(_ side: Int) { act(side, sides[side].start()) }

        mutating func restart(_ side: Int, random: UInt64) {
            sides[side] = ICENegotiation(own: keys[side], peer: keys[1 - side], random: random)
            noted[side] = []
            start(side)
        }

        /// Delivers until nothing is under way; `lose` says which are not.
        mutating func run(lose: (Int) -> Bool = { _ in false }) {
            var number = 0
            while let side = [0, 1].first(where: { !queues[$0].isEmpty }) {
                number += 1
                precondition(number < 1_000, "they go on for ever")
                let message = queues[side].removeFirst()
                if !lose(number) { act(side, sides[side].received(message)) }
            }
        }

        func isAgreed() -> Bool {
            guard let attempt = sides[0].attempt, sides[1].attempt == attempt else { return false }
            return [0, 1].allSatisfy { side in
                let name = "\(1 - side)-\(attempt)"
                let last = noted[side].suffix(4)
                return last.contains(.setRemote(ICECredentials(user: name, password: name)))
                    && last.contains(.addRemote("candidate of \(name)")) && last.last == .remoteComplete
            }
        }
    }

    @Test("whoever starts first, the higher id controls and both learn the same", arguments: [[0, 1], [1, 0]])
    func agreement(order: [Int]) {
        var table = Table()
        table.start(order[0])
        table.run()
        table.start(order[1])
        table.run()
        #expect(table.sides[0].isControlling)
        #expect(!table.sides[1].isControlling)
        #expect(table.isAgreed())
    }

    @Test("what is lost is said again", arguments: 1...12)
    func loss(number: Int) {
        var table = Table()
        table.start(0)
        table.start(1)
        table.run { $0 == number || $0 == number + 1 }
        for side in [0, 1] { table.act(side, table.sides[side].repeated()) }
        table.run()
        for side in [0, 1] { table.act(side, table.sides[side].repeated()) }
        table.run()
        #expect(table.isAgreed())
    }

    @Test("after either side begins anew, both are in one attempt again", arguments: [0, 1])
    func restart(side: Int) {
        var table = Table()
        table.start(0)
        table.start(1)
        table.run()
        table.restart(side, random: 900)
        table.run()
        #expect(table.isAgreed())
        #expect(table.noted[1 - side].filter { if case .begin = $0 { true } else { false } }.count == 2)
    }

    @Test("a side that is made to begin anew over and over stops doing so")
    func restartsAreBounded() {
        var table = Table()
        table.start(0)
        table.start(1)
        table.run()
        var begun = 0
        for attempt in 1_000..<1_100 as Range<UInt64> {
            let offer = SignalMessage(
                kind: .offer, attempt: attempt, run: 0, credentials: ICECredentials(user: "u", password: "p"))
            begun += table.sides[1].received(offer).filter { $0 == .begin(attempt: attempt) }.count
        }
        #expect(begun > 0)
        #expect(begun < 10)
    }

    @Test("a message is its sender's, for its receiver, and within bounds")
    func messages() throws {
        let (sender, receiver, other) = (EndpointKey(), EndpointKey(), EndpointKey())
        let credentials = ICECredentials(user: "u", password: "p")
        let message = SignalMessage(kind: .offer, attempt: 7, run: 0, credentials: credentials, candidates: ["c"])
        let sealed = try message.sealed(by: sender, for: receiver.id)
        #expect(try SignalMessage.open(sealed, from: sender.id, to: receiver.id) == message)
        #expect(throws: EndpointError.self) { try SignalMessage.open(sealed, from: other.id, to: receiver.id) }
        #expect(throws: EndpointError.self) { try SignalMessage.open(sealed, from: sender.id, to: other.id) }
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 1
            #expect(throws: EndpointError.self) { try SignalMessage.open(changed, from: sender.id, to: receiver.id) }
            #expect(throws: EndpointError.self) {
                try SignalMessage.open(Array(sealed.prefix(index)), from: sender.id, to: receiver.id)
            }
        }
        var oversized = [message, message]
        oversized[0].candidates = Array(repeating: "c", count: 33)
        oversized[1].candidates = [String(repeating: "c", count: 257)]
        for wrong in oversized {
            let sealed = try wrong.sealed(by: sender, for: receiver.id)
            #expect(throws: EndpointError.self) { try SignalMessage.open(sealed, from: sender.id, to: receiver.id) }
        }
    }

    @Test("a failure says why, and no secret is in what is printed")
    func reasons() {
        let peer = EndpointKey().id
        var findings = PunchFindings(peer: peer)
        #expect(findings.failure.code == .timedOut)
        findings.heardPeer = true
        findings.localTypes = [.host]
        findings.remoteTypes = [.host]
        findings.hasSTUN = true
        #expect(findings.failure.message.contains("UDP is blocked here"))
        findings.localTypes = [.host, .serverReflexive]
        #expect(findings.failure.message.contains("none of its addresses"))
        findings.remoteTypes = [.host, .serverReflexive]
        #expect(findings.failure.message.contains("symmetric"))
        findings.foundPath = true
        #expect(findings.failure.message.contains("handshake"))
        let server = TURNServer(ServerAddress(host: "turn.example"), user: "u", password: "hunter2")
        let configuration = ICEConfiguration(turn: [server])
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(server)", "\(configuration)", String(reflecting: [server]), dumped] {
            #expect(!text.contains("hunter2"))
        }
    }
}
