import Troupe

extension Row {
    /// Numbers there and back: small ones in the message, large ones by reference, as the policy has it. The floor is a plain
    /// socket that carries the same bytes.
    static let echoes = [Lab.Place.redisUnix, .brokerIPC].flatMap { place in
        [("1KB", 1 << 10, 1000), ("100KB", 100 << 10, 300), ("1MB", 1 << 20, 100), ("10MB", 10 << 20, 20)].map {
            size, bytes, repetitions in
            let name = "echo.\(size).\(place.rawValue)"
            return Row(name: name) { lab in
                let count = lab.count(repetitions)
                let floor = try lab.floors(["socket", "\(count)", "\(bytes)"])
                let troupe = try await Troupe.connect(to: lab.url(place))
                let echo = try await troupe.spawn(Echo.self, named: "echo-\(size)-\(place.rawValue)")
                let numbers = (0..<bytes / 8).map(Double.init)
                _ = try await echo.echo(numbers)
                var latencies = Latencies()
                for _ in 0..<count {
                    let begin = ContinuousClock.now
                    let back = try await echo.echo(numbers)
                    latencies.record(ContinuousClock.now - begin)
                    guard back.count == numbers.count else {
                        throw TroupeError(.undecodable, "the echo has \(back.count) numbers and not \(numbers.count)")
                    }
                }
                await troupe.close()
                return Measurement.latency(name, latencies, floor: floor)
            }
        }
    }
}
