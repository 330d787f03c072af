import ArgumentParser
import Crypto
import TroupeEndpoint

/// One thing for the dialling side to do.
enum WorkItem: ExpressibleByArgument {
    case firstByte
    case echo(count: Int)
    case bulk(megabytes: Int)
    case digest(megabytes: Int)
    case streams(count: Int)
    case latency(megabytes: Int)
    case hold

    init?(argument: String) {
        let parts = argument.split(separator: ":")
        let number = parts.count > 1 ? Int(parts[1]) : nil
        switch (parts.first, number) {
        case ("first-byte", nil): self = .firstByte
        case ("echo", let number?): self = .echo(count: number)
        case ("bulk", let number?): self = .bulk(megabytes: number)
        case ("digest", let number?): self = .digest(megabytes: number)
        case ("streams", let number?): self = .streams(count: number)
        case ("latency", let number?): self = .latency(megabytes: number)
        case ("hold", nil): self = .hold
        case (_, _): return nil
        }
    }
}

struct WorkFailed: Error, CustomStringConvertible {
    let description: String
}

struct Work: Sendable {
    let connection: any PeerConnection
    let start: ContinuousClock.Instant

    private static let blockSizeBytes = 1 << 18

    func run(_ item: WorkItem) async throws {
        switch item {
        case .firstByte:
            _ = try await roundTrips(1, over: connection.openStream(.urgent))
            say("first-byte \((ContinuousClock.now - start).inMilliseconds)")
        case .echo(let count):
            say("echo \(describe(try await roundTrips(count, over: connection.openStream(.urgent))))")
        case .bulk(let megabytes): say("bulk \(try await send(megabytes, .count)) Mbit/s")
        case .digest(let megabytes): say("digest \(try await send(megabytes, .digest)) Mbit/s")
        case .streams(let count):
            try await streams(count)
            say("streams \(count)")
        case .latency(let megabytes): try await latency(megabytes)
        case .hold: try await hold()
        }
    }

    private func roundTrips(_ count: Int, over stream: any PeerStream) async throws -> [Duration] {
        try await stream.write([Service.echo.rawValue])
        var durations: [Duration] = []
        for number in 0..<count {
            let sent = ContinuousClock.now
            try await stream.write(bigEndian(UInt64(number)))
            var answer: [UInt8] = []
            while answer.count < 8, let bytes = try await stream.read(atMost: 8 - answer.count) { answer += bytes }
            guard answer == bigEndian(UInt64(number)) else { throw WorkFailed(description: "a wrong echo") }
            durations.append(ContinuousClock.now - sent)
        }
        try await stream.finish()
        return durations
    }

    private func describe(_ durations: [Duration]) -> String {
        let sorted = durations.sorted()
        let (middle, high) = (sorted[sorted.count / 2], sorted[min(sorted.count - 1, sorted.count * 99 / 100)])
        return "p50 \(middle.inMilliseconds) p99 \(high.inMilliseconds) max \(sorted[sorted.count - 1].inMilliseconds)"
    }

    /// Sends so much on one stream; how fast.
    private func send(_ megabytes: Int, _ service: Service) async throws -> Int {
        let began = ContinuousClock.now
        let stream = try await connection.openStream(.bulk)
        try await stream.write([service.rawValue])
        var block = [UInt8](repeating: 7, count: Self.blockSizeBytes)
        var hash = SHA256()
        var left = megabytes * 1_000_000
        while left > 0 {
            // No two blocks are the same.
            block.replaceSubrange(0..<8, with: bigEndian(UInt64(left)))
            let part = left < block.count ? Array(block.prefix(left)) : block
            if service == .digest { hash.update(data: part) }
            try await stream.write(part)
            left -= part.count
        }
        try await stream.finish()
        let expected = bigEndian(UInt64(megabytes) * 1_000_000) + (service == .digest ? Array(hash.finalize()) : [])
        guard try await stream.readAll() == expected else {
            throw WorkFailed(description: "the peer got other bytes than were sent")
        }
        return Int(Double(megabytes) * 8 / (ContinuousClock.now - began).inSeconds)
    }

    private func streams(_ count: Int) async throws {
        try await withThrowingTaskGroup { group in
            for number in 0..<count {
                group.addTask {
                    let stream = try await connection.openStream(number.isMultiple(of: 2) ? .urgent : .bulk)
                    let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1 + number * 10)
                    try await stream.write([Service.digest.rawValue] + bytes)
                    try await stream.finish()
                    let digest = Array(SHA256.hash(data: bytes))
                    guard try await stream.readAll() == bigEndian(UInt64(bytes.count)) + digest else {
                        throw WorkFailed(description: "stream \(number) carried other bytes")
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Round trips of an urgent stream, alone and beside a bulk one.
    private func latency(_ megabytes: Int) async throws {
        let alone = try await roundTrips(100, over: connection.openStream(.urgent))
        async let bulk = send(megabytes, .count)
        let beside = try await roundTrips(100, over: connection.openStream(.urgent))
        let rate = try await bulk
        say("latency alone \(describe(alone)) beside \(describe(beside)) bulk \(rate) Mbit/s")
    }

    /// Asks again and again until the connection ends.
    private func hold() async throws {
        say("holding")
        let stream = try await connection.openStream(.urgent)
        try await stream.write([Service.echo.rawValue])
        var last = ContinuousClock.now
        do {
            while true {
                try await stream.write([1])
                guard try await stream.read(atMost: 1) != nil else { break }
                last = ContinuousClock.now
                try await Task.sleep(for: .milliseconds(20))
            }
        } catch {
            say("lost \((ContinuousClock.now - last).inMilliseconds) \(error)")
        }
    }
}
