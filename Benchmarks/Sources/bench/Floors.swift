import Foundation
import TroupeTesting

extension Lab {
    /// Measures something between two rounds of the bare ping-pong over the same server, so that both saw the machine in
    /// the same state.
    func besideFloor<Result>(
        _ place: Place, count: Int, bytes: Int = 8, _ measure: () async throws -> Result
    ) async throws -> (result: Result, floor: Latencies) {
        try await beside({ try self.pingPong(place, count: count, bytes: bytes) }, measure)
    }

    /// The same for any floor.
    func beside<Result>(
        _ floor: () throws -> Latencies, _ measure: () async throws -> Result
    ) async throws -> (result: Result, floor: Latencies) {
        var floors = try floor()
        let result = try await measure()
        floors.add(try floor())
        return (result, floors)
    }

    /// Round trips between two processes: a list each way through the same Redis, or two hops of nng.
    private func pingPong(_ place: Place, count: Int, bytes: Int) throws -> Latencies {
        switch place {
        case .redisTCP: try floors(["redis", "127.0.0.1", "\(redis.port)", "\(count)", "\(bytes)"])
        case .redisUnix: try floors(["redis-unix", redis.socketPath, "\(count)", "\(bytes)"])
        case .redisAlways: try floors(["redis-unix", redisAlways.socketPath, "\(count)", "\(bytes)"])
        case .brokerIPC, .brokerDurable:
            try floors(["nng", "ipc://\(directory)/floor.sock", "\(count)", "\(bytes)"])
        case .brokerTCP: try floors(["nng", "tcp://127.0.0.1:\(RedisServer.freePort())", "\(count)", "\(bytes)"])
        }
    }

    /// Runs a floor; its arguments are told at the top of floors.c.
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
