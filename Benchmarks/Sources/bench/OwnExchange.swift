import Foundation
import TroupeTesting

/// An exchange that one row has for itself, because it fills it, or measures what it holds.
struct OwnExchange: Sendable {
    private enum Server {
        case redis(RedisServer)
        case broker(LabBroker, directory: String)
    }

    let url: String
    private let server: Server

    /// One of the kind that is at the place: a journaled one.
    static func start(like place: Lab.Place, _ lab: Lab) async throws -> OwnExchange {
        switch place {
        case .redisTCP, .redisUnix, .redisAlways:
            let redis = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "everysec"])
            return OwnExchange(url: redis.url, server: .redis(redis))
        case .brokerIPC, .brokerTCP, .brokerDurable:
            let directory = "\(lab.directory)/\(UUID().uuidString.prefix(8))"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let broker = try LabBroker("journaled", in: directory)
            return OwnExchange(url: broker.ipc, server: .broker(broker, directory: directory))
        }
    }

    /// Bytes of memory that the exchange uses: by Redis's own account, or of the broker's process.
    func usedBytes() throws -> Int {
        switch server {
        case .redis(let redis): try Memory.used(by: redis)
        case .broker(let broker, _): try broker.residentKiB() * 1024
        }
    }

    /// The bare ping-pong over this server, as the lab runs it over its servers.
    func pingPong(_ lab: Lab, count: Int, bytes: Int = 8, back: Int = 8) throws -> Latencies {
        switch server {
        case .redis(let redis):
            try lab.floors(["redis", "127.0.0.1", "\(redis.port)", "\(count)", "\(bytes)", "\(back)"])
        case .broker(_, let directory):
            try lab.floors(["nng", "ipc://\(directory)/floor.sock", "\(count)", "\(bytes)", "\(back)"])
        }
    }

    func end() {
        switch server {
        case .redis(let redis): redis.kill()
        case .broker(let broker, let directory):
            broker.end()
            try? FileManager.default.removeItem(atPath: directory)
        }
    }
}
