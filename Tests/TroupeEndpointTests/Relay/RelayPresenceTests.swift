import Foundation
import SystemPackage
import Testing
import TroupeTesting

@testable import TroupeEndpoint

@Suite("Presence and signals at a relay", .timeLimit(.minutes(3)))
struct RelayPresenceTests {
    @Test("who watches is told who is there, who comes and who goes")
    func presence() async throws {
        try await RelayScene.run { scene in
            try await scene.withClients(2) { clients, ids in
                let late = EndpointKey()
                try clients[0].watch([ids[1], late.id])
                var changes = clients[0].presence
                #expect(await changes.next() == PresenceChange(id: ids[1], isPresent: true))
                var connection: RawConnection? = try RawConnection.loggedIn(late, port: scene.ready.port)
                #expect(await changes.next() == PresenceChange(id: late.id, isPresent: true))
                #expect(connection != nil)
                connection = nil
                #expect(await changes.next() == PresenceChange(id: late.id, isPresent: false))
                // Who is watched no more is not told of, and counts as away.
                try clients[0].watch([late.id])
                #expect(await changes.next() == PresenceChange(id: ids[1], isPresent: false))
                let again = try RawConnection.loggedIn(late, port: scene.ready.port)
                #expect(await changes.next() == PresenceChange(id: late.id, isPresent: true))
                _ = again
            }
        }
    }

    @Test("a second login of an endpoint takes the place of the first, and it never was away")
    func replaced() async throws {
        try await RelayScene.run { (scene: RelayScene) async throws in
            let key = EndpointKey()
            let watcher = try RawConnection.loggedIn(EndpointKey(), port: scene.ready.port)
            let first = try RawConnection.loggedIn(key, port: scene.ready.port)
            watcher.send(.watch([key.id]))
            #expect(try watcher.event() == .presence(present: [key.id], absent: []))
            let second = try RawConnection.loggedIn(key, port: scene.ready.port)
            #expect(try first.refusal() == "replaced")
            // The watcher hears nothing of it: the next that it hears is the answer to its own question.
            watcher.send(.signal(request: 7, to: key.id, bytes: [1]))
            #expect(try watcher.event() == .accepted(request: 7))
            guard case .signal(_, [1])? = try second.event() else {
                Issue.record("the second login has no signals")
                return
            }
        }
    }

    @Test("signals arrive with who sent them, at most as large as they may be")
    func signals() async throws {
        try await RelayScene.run { scene in
            try await scene.withClients(2) { clients, ids in
                var arrivals = clients[1].signals.makeAsyncIterator()
                for size in [0, 1, 1000, 16 << 10] {
                    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                    try await clients[0].signal(to: ids[1], bytes: bytes)
                    let signal = await arrivals.next()
                    #expect(signal?.from == ids[0])
                    #expect(signal?.bytes == bytes)
                }
                let large = await #expect(throws: EndpointError.self) {
                    try await clients[0].signal(to: ids[1], bytes: [UInt8](repeating: 0, count: (16 << 10) + 1))
                }
                #expect(large?.code == .limitExceeded)
                let nobody = await #expect(throws: EndpointError.self) {
                    try await clients[0].signal(to: EndpointKey().id, bytes: [])
                }
                #expect(nobody?.code == .unreachable)
                #expect(try scene.metric("signals_total") == 4)
            }
        }
    }

    @Test("endpoints of different tenants cannot see, signal or reach each other, and cannot tell that from absence")
    func tenants() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("endpoints")
        let (one, two) = (EndpointKey(), EndpointKey())
        try "physics \(one.id)\nchemistry \(two.id)\n".write(toFile: path.string, atomically: true, encoding: .utf8)
        try await RelayScene.run(.allowList(path)) { (scene: RelayScene) async throws in
            let there = try RawConnection.loggedIn(two, port: scene.ready.port, tenant: "chemistry")
            let here = try RawConnection.loggedIn(one, port: scene.ready.port, tenant: "physics")
            let nobody = EndpointKey().id
            here.send(.watch([two.id]))
            #expect(try here.event() == .presence(present: [], absent: [two.id]))
            for id in [two.id, nobody] {
                let refused = RelayEvent.refused(
                    request: 1, reason: "not-there", detail: RelayRefusal.notThere.remedy)
                here.send(.signal(request: 1, to: id, bytes: [1]))
                #expect(try here.event() == refused)
                here.send(.connect(request: 1, to: id))
                #expect(try here.event() == refused)
            }
            // Nothing of it came through: what comes first is the answer to its own question.
            there.send(.watch([one.id]))
            #expect(try there.event() == .presence(present: [], absent: [one.id]))
        }
    }

    @Test("a relay is not asked for one that it has said is not there, and again when it comes")
    func absent() async throws {
        try await RelayScene.run { scene in
            try await scene.withClients(1) { clients, _ in
                let other = EndpointKey()
                try clients[0].watch([other.id])
                var changes = clients[0].presence
                var first: RawConnection? = try RawConnection.loggedIn(other, port: scene.ready.port)
                #expect(await changes.next() == PresenceChange(id: other.id, isPresent: true))
                #expect(first != nil)
                first = nil
                #expect(await changes.next() == PresenceChange(id: other.id, isPresent: false))
                for _ in 1...3 {
                    await expectLinkError(.unreachable, "is not at \(try scene.url)") {
                        try await clients[0].signal(to: other.id, bytes: [1])
                    }
                    await expectLinkError(.unreachable, "is not at") { _ = try await clients[0].openPipe(to: other.id) }
                }
                #expect(try scene.refusals(.notThere) == 0)
                let again = try RawConnection.loggedIn(other, port: scene.ready.port)
                #expect(await changes.next() == PresenceChange(id: other.id, isPresent: true))
                try await clients[0].signal(to: other.id, bytes: [9])
                guard case .signal(_, [9])? = try again.event() else {
                    Issue.record("it has no signal")
                    return
                }
            }
        }
    }

    @Test("any of several relays will do, and presence is what all of them say together")
    func severalRelays() async throws {
        try await RelayScene.run { first in
            try await RelayScene.run { second in
                let urls = [try first.url, try second.url]
                let dead = try RelayURL("ws://127.0.0.1:\(try RedisServer.freePort())")
                try await first.withClients(1, configure: { $0.relays = urls }) { clients, _ in
                    let other = EndpointKey()
                    try clients[0].watch([other.id])
                    var changes = clients[0].presence
                    // The other endpoint is at the second relay only.
                    var configuration = RelayClientConfiguration(key: other, site: "b", relays: [dead, urls[1]])
                    configuration.proxy = .none
                    let otherClient = try RelayClient(configuration, logger: first.log.logger)
                    try await RelayScene.whileRunning([otherClient]) {
                        #expect(await changes.next() == PresenceChange(id: other.id, isPresent: true))
                        try await clients[0].signal(to: other.id, bytes: [9])
                        var arrivals = otherClient.signals.makeAsyncIterator()
                        #expect(await arrivals.next()?.bytes == [9])
                        #expect(otherClient.status.map(\.isConnected) == [false, true])
                        try await eventually("the first has failed") {
                            otherClient.status[0].failure?.code == .unreachable
                        }
                    }
                    #expect(await changes.next() == PresenceChange(id: other.id, isPresent: false))
                }
            }
        }
    }
}
