import Foundation
import Troupe
import TroupeTesting

/// The servers and workers of a run, each a process of its own.
final class Lab: Sendable {
    let redis: RedisServer
    private let broker: ChildProcess
    private let workers: [ChildProcess]
    private let directory: String
    let brokerTCP: String
    let brokerDurability: String
    /// What repetitions are multiplied by.
    let scale: Double

    enum Place: String, CaseIterable, Sendable {
        case redisTCP = "redis.tcp"
        case redisUnix = "redis.unix"
        case brokerIPC = "broker.ipc"
        case brokerTCP = "broker.tcp"
    }

    private init(
        redis: RedisServer, broker: ChildProcess, workers: [ChildProcess], directory: String, brokerTCP: String,
        brokerDurability: String, scale: Double
    ) {
        self.redis = redis
        self.broker = broker
        self.workers = workers
        self.directory = directory
        self.brokerTCP = brokerTCP
        self.brokerDurability = brokerDurability
        self.scale = scale
    }

    /// Must be the same in every process of the run.
    private static let token = "a token for a benchmark on this machine"

    static func start(scale: Double) async throws -> Lab {
        setenv("TROUPE_TOKEN", token, 1)
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
            "troupe-bench-\(UUID().uuidString.prefix(8))"
        ).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let redis = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "everysec"])
        let tcp = "tcp://127.0.0.1:\(try RedisServer.freePort())"
        let ipc = "ipc://\(directory)/broker.sock"
        let troupe = try ChildProcess.product("troupe")
        let broker = ChildProcess([
            troupe, "broker", "--listen", ipc, "--listen", tcp, "--journal", "\(directory)/journal",
            "--durability", "journaled",
        ])
        try broker.start()
        guard let line = broker.line(containing: "journaled") else {
            throw Trouble("the broker did not start")
        }
        let workers = try [redis.unixURL, ipc].map { url in
            let worker = ChildProcess([
                try ChildProcess.product("bench"), "worker", "--exchange", url, "--passivate-after", "300s",
            ])
            try worker.start()
            return worker
        }
        return Lab(
            redis: redis, broker: broker, workers: workers, directory: directory, brokerTCP: tcp,
            brokerDurability: line, scale: scale)
    }

    func url(_ place: Place) -> String {
        switch place {
        case .redisTCP: redis.url
        case .redisUnix: redis.unixURL
        case .brokerIPC: "ipc://\(directory)/broker.sock"
        case .brokerTCP: brokerTCP
        }
    }

    func count(_ full: Int) -> Int { max(20, Int(Double(full) * scale)) }

    func stop() async {
        for worker in workers { worker.terminate() }
        broker.terminate()
        redis.kill()
        try? FileManager.default.removeItem(atPath: directory)
    }

    // MARK: Floors

    /// Round trips of the bare ping-pong over the same server, in nanoseconds.
    func floor(_ place: Place, count: Int, bytes: Int) throws -> Latencies {
        switch place {
        case .redisTCP: try floors(["redis", "127.0.0.1", "\(redis.port)", "\(count)", "\(bytes)"])
        case .redisUnix: try floors(["redis-unix", redis.socketPath, "\(count)", "\(bytes)"])
        case .brokerIPC: try floors(["nng", "ipc://\(directory)/floor.sock", "\(count)", "\(bytes)"])
        case .brokerTCP: try floors(["nng", "tcp://127.0.0.1:\(RedisServer.freePort())", "\(count)", "\(bytes)"])
        }
    }

    func floors(_ arguments: [String]) throws -> Latencies {
        let process = ChildProcess([try ChildProcess.product("floors")] + arguments)
        try process.start()
        var latencies = Latencies()
        while let line = process.line() {
            if let value = Int64(line) { latencies.record(nanoseconds: value) }
        }
        guard process.wait() == .exited(0), latencies.count > 0 else {
            throw Trouble("the floor \(arguments.joined(separator: " ")) failed")
        }
        return latencies
    }
}

/// What keeps a benchmark from running.
struct Trouble: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
