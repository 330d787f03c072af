import Foundation
import Testing
import TroupeTesting

/// Workers, a caller and an exchange on hosts of their own, whose links fail: every call commits once, in order.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: NetworkLab.obstacle == nil, "network namespaces need root and iproute2"))
struct NetworkFaultTests {
    /// The lab with an exchange and two workers in it.
    private final class Site {
        let lab: NetworkLab
        let url: String
        let environment = ["TROUPE_TOKEN": "a token for the hosts of a lab"]
        private let directory: URL
        private let exchange: ChildProcess
        private var workers: [ChildProcess] = []

        init(_ kind: Server) throws {
            lab = try NetworkLab(["exchange", "one", "two", "caller"])
            directory = FileManager.default.temporaryDirectory.appendingPathComponent(
                "troupe-lab-\(UUID().uuidString.prefix(8))")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            let address = lab["exchange"].address
            let command: [String]
            let ready: String
            switch kind {
            case .broker:
                url = "tcp://\(address):7070"
                command = [
                    try ChildProcess.product("troupe"), "broker", "--listen", url, "--journal", directory.path,
                    "--durability", "durable",
                ]
                ready = url
            case .redis:
                url = "redis://\(address):6379"
                command = [
                    "redis-server", "--bind", address, "--protected-mode", "no", "--save", "", "--appendonly", "yes",
                    "--appendfsync", "always", "--dir", directory.path,
                ]
                ready = "Ready to accept connections"
            }
            exchange = ChildProcess(lab["exchange"].command(command), environment: environment)
            try exchange.start()
            guard exchange.line(containing: ready) != nil else {
                throw ChildProcess.Failure(description: "the exchange did not start: \(command)")
            }
            // Sockets do not end at a host of the lab: past the mailbox a caller reaches a worker that is cut off.
            let options = kind == .broker ? [] : ["--no-direct"]
            for host in ["one", "two"] {
                let worker = try node(host, ["worker", "--exchange", url, "--lease", "1s"] + options)
                try worker.start()
                workers.append(worker)
            }
        }

        func node(_ host: String, _ words: [String]) throws -> ChildProcess {
            ChildProcess(
                lab[host].command([try ChildProcess.product("FaultNode")] + words), environment: environment,
                standardError: "/dev/null")
        }

        deinit {
            for process in workers + [exchange] { process.kill() }
            try? FileManager.default.removeItem(at: directory)
        }
    }

    enum Fault: String, CaseIterable, Sendable {
        case workersLinkIsCut
        case workersLinkIsABlackHole
        case callersLinkIsCut
        case callersLinkIsABlackHole
        case exchangesLinkIsCut
    }

    @Test(arguments: Server.allCases, Fault.allCases)
    func everyCallCommitsOnceInOrder(_ kind: Server, _ fault: Fault) throws {
        let site = try Site(kind)
        let count = 90
        let caller = try site.node("caller", ["add", "--exchange", site.url, "--count", "\(count)", "ledger"])
        try caller.start()
        // The link of the one worker and then of the other: at least one of them holds the ledger at that time.
        for (round, worker) in ["one", "two"].enumerated() {
            #expect(caller.line(containing: "added \(round * 40 + 10) ") != nil)
            try impose(fault, on: site.lab, worker)
            if [.workersLinkIsCut, .workersLinkIsABlackHole].contains(fault) {
                // The other worker takes over.
                #expect(caller.line(containing: "added \(round * 40 + 30) ") != nil)
            } else {
                // Beyond the lease of the workers, and beyond what a connection takes to be given up.
                try hold(seconds: 3)
            }
            try mend(fault, on: site.lab, worker)
        }
        let last = caller.line(containing: "entries")
        #expect(last == "entries \(Array(0..<count))")
        #expect(caller.wait() == .exited(0))
    }

    /// A link that is slow, and then as good as dead for a while: nothing is taken for lost that is only late.
    @Test(arguments: Server.allCases) func aSlowLinkOnlyDelays(_ kind: Server) throws {
        let site = try Site(kind)
        let port = kind == .redis ? 6379 : 7070
        let relay = try site.node(
            "caller",
            [
                "relay", "--port", "7171", "--to-host", site.lab["exchange"].address, "--to-port", "\(port)", "--delay",
                "60ms",
            ])
        try relay.start()
        #expect(relay.line() == "relays")
        let url = "\(kind == .redis ? "redis" : "tcp")://\(site.lab["caller"].address):7171"
        let caller = try site.node("caller", ["add", "--exchange", url, "--count", "30", "ledger"])
        try caller.start()
        #expect(caller.line(containing: "added 10 ") != nil)
        relay.signal(SIGSTOP)
        try hold(seconds: 3)
        relay.signal(SIGCONT)
        #expect(caller.line(containing: "entries") == "entries \(Array(0..<30))")
        #expect(caller.wait() == .exited(0))
    }

    private func impose(_ fault: Fault, on lab: NetworkLab, _ worker: String) throws {
        switch fault {
        case .workersLinkIsCut: try lab.cut(worker)
        case .workersLinkIsABlackHole: try lab.blackHole(worker, "exchange")
        case .callersLinkIsCut: try lab.cut("caller")
        case .callersLinkIsABlackHole: try lab.blackHole("caller", "exchange")
        case .exchangesLinkIsCut: try lab.cut("exchange")
        }
    }

    private func mend(_ fault: Fault, on lab: NetworkLab, _ worker: String) throws {
        switch fault {
        case .workersLinkIsCut: try lab.mend(worker)
        case .workersLinkIsABlackHole: try lab.heal(worker, "exchange")
        case .callersLinkIsCut: try lab.mend("caller")
        case .callersLinkIsABlackHole: try lab.heal("caller", "exchange")
        case .exchangesLinkIsCut: try lab.mend("exchange")
        }
    }

    /// How long a fault lasts; nothing is synchronised by it.
    private func hold(seconds: UInt32) throws {
        guard sleep(seconds) == 0 else { throw ChildProcess.Failure(description: "the wait was interrupted") }
    }
}
