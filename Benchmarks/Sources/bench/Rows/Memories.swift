import Foundation
import Troupe

/// What actors cost in memory. There is no floor to compare with.
extension Row {
    /// What a worker's memory grows by for each actor that it holds.
    static let memory = backends.map { backend, place in
        let name = "memory.live.\(backend)"
        return Row(name) { lab in
            let count = lab.count(5000)
            let pool = "memory-\(UUID().uuidString)"
            let worker = try FurtherWorker(pools: pool, url: lab.url(place))
            defer { worker.end() }
            let troupe = try await Troupe.joining(lab.url(place))
            // The first ones bring what a worker needs once.
            let spawns = (0..<count + 200).map { Spawn<Echo>("\(pool)-\($0)", state: .init()) }
            let echoes = try await troupe.spawn(Echo.self, spawns, pool: pool)
            try await callEach(Array(echoes[..<200]))
            let before = try worker.residentKiB()
            try await callEach(Array(echoes[200...]))
            let grown = Double(try worker.residentKiB() - before) / Double(count)
            await troupe.close()
            return [Measurement(name, "resident", unit: "KiB", grown)]
        }
    }

    /// What stays in a worker of each actor that came and passivated. Lots of them come and go; the first half is to bring
    /// what the process needs once, and what its allocator keeps.
    static let dormantMemory: [Row] = backends.map { backend, place in
        let name = "memory.dormant.worker.\(backend)"
        return Row(name) { lab in
            let count = lab.count(5000)
            let pool = "passing-\(UUID().uuidString)"
            let worker = try FurtherWorker(pools: pool, url: lab.url(place), passivateAfter: "500ms")
            defer { worker.end() }
            let troupe = try await Troupe.joining(lab.url(place))
            var sizes: [Int] = []
            for lot in 0..<8 {
                let label = ["lot": "\(pool)-\(lot)"]
                let spawns = (0..<count).map { Spawn<Echo>("\(pool)-\(lot)-\($0)", state: .init(), labels: label) }
                try await callEach(try await troupe.spawn(Echo.self, spawns, pool: pool))
                try await troupe.untilDormant(ActorFilter(label: ActorLabel(name: "lot", value: "\(pool)-\(lot)")))
                sizes.append(try worker.residentKiB())
            }
            await troupe.close()
            return [Measurement(name, "resident", unit: "KiB", Double(sizes[7] - sizes[3]) / Double(4 * count))]
        }
    }

    /// What an exchange keeps of an actor that has only been made, and of one that lives on a worker and has answered once.
    static let exchangeMemory: [Row] = backends.map { backend, place in
        let names = ["memory.dormant.exchange.\(backend)", "memory.live.exchange.\(backend)"]
        return Row(names) { lab in
            let count = lab.count(10_000)
            let own = try await OwnExchange.start(like: place, lab)
            defer { own.end() }
            let worker = try FurtherWorker(pools: "default", url: own.url)
            defer { worker.end() }
            let troupe = try await Troupe.joining(own.url)
            // The first ones bring what an exchange needs once.
            try await callEach(
                try await troupe.spawn(Echo.self, (0..<200).map { Spawn("first-\($0)", state: .init()) }))
            let empty = try own.usedBytes()
            let echoes = try await troupe.spawn(Echo.self, (0..<count).map { Spawn("kept-\($0)", state: .init()) })
            let dormant = try own.usedBytes()
            try await callEach(echoes)
            let live = try own.usedBytes()
            await troupe.close()
            return zip(names, [dormant, live]).map { name, bytes in
                Measurement(name, "used", unit: "B", Double(bytes - empty) / Double(count))
            }
        }
    }
}

extension Troupe {
    /// Waits until no worker holds any of the actors, for a minute at the most.
    fileprivate func untilDormant(_ filter: ActorFilter) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < end {
            if try await areDormant(filter) { return }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw Trouble("actors did not passivate within a minute")
    }

    private func areDormant(_ filter: ActorFilter) async throws -> Bool {
        var after: ActorID?
        while true {
            let page = try await actors(filter, after: after, limit: 1000)
            guard page.allSatisfy({ $0.worker == nil }) else { return false }
            guard page.count == 1000 else { return true }
            after = page.last?.id
        }
    }
}
