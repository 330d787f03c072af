import Foundation
import TroupeTesting

extension Lab {
    /// Measures something between two rounds of the bare ping-pong over the same server, so that both saw the machine in
    /// the same state.
    func besideFloor<Result>(
        _ place: Place, count: Int, bytes: Int = 8, rounds: Int = 1, _ measure: () async throws -> Result
    ) async throws -> (result: Result, floor: Latencies) {
        try await beside(
            { try self.pingPong(place, count: count * rounds, bytes: bytes, rounds: rounds) }, measure)
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
    func pingPong(_ place: Place, count: Int, bytes: Int = 8, rounds: Int = 1) throws -> Latencies {
        let way =
            switch place {
            case .redisTCP: ["redis", "127.0.0.1", "\(redis.port)"]
            case .redisUnix: ["redis-unix", redis.socketPath]
            case .redisAlways: ["redis-unix", redisAlways.socketPath]
            case .brokerIPC, .brokerDurable: ["nng", "ipc://\(directory)/floor.sock"]
            case .brokerTCP: ["nng", "tcp://127.0.0.1:\(try RedisServer.freePort())"]
            }
        return try floors(way + ["\(count)", "\(bytes)"], rounds: rounds)
    }

    /// Runs a floor; its arguments are told at the top of floors.c. So many `rounds` in a row count as one.
    func floors(_ arguments: [String], rounds: Int = 1) throws -> Latencies {
        let process = ChildProcess([try ChildProcess.product("floors")] + arguments)
        try process.start()
        var latencies = Latencies()
        var sum: Int64 = 0
        var summed = 0
        while let line = process.line() {
            guard let value = Int64(line) else { continue }
            sum += value
            summed += 1
            guard summed == rounds else { continue }
            latencies.record(nanoseconds: sum)
            (sum, summed) = (0, 0)
        }
        guard process.wait() == .exited(0), latencies.count > 0 else {
            throw Trouble("the floor \(arguments.joined(separator: " ")) failed")
        }
        return latencies
    }
}
