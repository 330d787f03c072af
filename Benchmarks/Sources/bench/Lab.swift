import Foundation
import Troupe
import TroupeTesting

/// The servers and workers of a run, each a process of its own.
final class Lab: Sendable {
    /// Where mailboxes are, and the way there.
    enum Place: String, CaseIterable, Sendable {
        case redisTCP = "redis.tcp"
        case redisUnix = "redis.unix"
        /// Every answer waits for the disk.
        case redisAlways = "redis.always"
        case brokerIPC = "broker.ipc"
        case brokerTCP = "broker.tcp"
        /// Every answer waits for the disk.
        case brokerDurable = "broker.durable"
    }

    /// Whose workers take no calls past the mailbox.
    static let mailboxPool = "mailbox"

    let directory: String
    let redis: RedisServer
    let redisAlways: RedisServer
    private let broker: LabBroker
    private let brokerDurable: LabBroker
    private let workers: [FurtherWorker]
    private let mailboxWorkers: [FurtherWorker]
    /// What repetitions are multiplied by.
    let scale: Double

    /// Starts everything; what was started ends again if the rest cannot be.
    static func start(scale: Double) async throws -> Lab {
        setenv("TROUPE_TOKEN", "a token for a benchmark on this machine", 1)
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "troupe-bench-\(UUID().uuidString.prefix(8))"
        ).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        do {
            return try await Lab(directory: directory, scale: scale)
        } catch {
            try? FileManager.default.removeItem(atPath: directory)
            throw error
        }
    }

    private init(directory: String, scale: Double) async throws {
        self.directory = directory
        self.scale = scale
        redis = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "everysec"])
        redisAlways = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
        broker = try LabBroker("journaled", in: directory)
        brokerDurable = try LabBroker("durable", in: directory)
        workers = try [redis.unixURL, redisAlways.unixURL, broker.ipc, brokerDurable.ipc].map {
            try FurtherWorker(pools: "default", url: $0)
        }
        mailboxWorkers = try [redis.unixURL, broker.ipc].map {
            try FurtherWorker(pools: Self.mailboxPool, url: $0, isDirect: false)
        }
    }

    func url(_ place: Place) -> String {
        switch place {
        case .redisTCP: redis.url
        case .redisUnix: redis.unixURL
        case .redisAlways: redisAlways.unixURL
        case .brokerIPC: broker.ipc
        case .brokerTCP: broker.tcp
        case .brokerDurable: brokerDurable.ipc
        }
    }

    /// What the exchange of each place says that it promises.
    func durability(_ place: Place) async throws -> String {
        let troupe = try await Troupe.joining(url(place))
        let statement = troupe.durability
        await troupe.close()
        // The directory is new in each run and says nothing.
        return "\(statement.level.rawValue): \(statement.detail.replacingOccurrences(of: directory + "/", with: ""))"
    }

    func count(_ full: Int) -> Int { max(20, Int(Double(full) * scale)) }

    func stop() {
        for worker in workers + mailboxWorkers { worker.end() }
        broker.end()
        brokerDurable.end()
        redis.kill()
        redisAlways.kill()
        try? FileManager.default.removeItem(atPath: directory)
    }
}

/// A broker of one durability class, on a Unix socket and on TCP.
struct LabBroker {
    let ipc: String
    let tcp: String
    private let process: ChildProcess

    init(_ durability: String, in directory: String) throws {
        ipc = "ipc://\(directory)/\(durability).sock"
        tcp = "tcp://127.0.0.1:\(try RedisServer.freePort())"
        process = ChildProcess(
            [
                try ChildProcess.product("troupe"), "broker", "--listen", ipc, "--listen", tcp, "--journal",
                "\(directory)/\(durability)", "--durability", durability,
            ], standardError: "\(directory)/\(durability).log")
        try process.start()
        // It says its durability once it listens.
        guard process.line(containing: "durability") != nil else {
            let log = (try? String(contentsOfFile: "\(directory)/\(durability).log", encoding: .utf8)) ?? ""
            throw Trouble("the \(durability) broker did not start: \(log)")
        }
    }

    /// Memory that is its own and in use, in KiB.
    func residentKiB() throws -> Int { try Memory.residentKiB(of: process) }

    func end() { process.terminate() }
}

/// What keeps a benchmark from running.
struct Trouble: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
