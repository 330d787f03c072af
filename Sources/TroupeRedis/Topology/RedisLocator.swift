internal import Synchronization

/// Finds the server that is in charge of some keys, anew for each connection: it may be another one each time.
package final class RedisLocator: Sendable {
    private struct State: Sendable {
        /// Where to ask, those that answered last first.
        var seeds: [RedisConfiguration.Address]
        /// Where a server said that the keys are now; good for one attempt.
        var hint: RedisConfiguration.Address?
    }

    /// Addresses that are kept of a cluster.
    private static let seedCountMax = 256
    /// How long one Sentinel or node is waited for; there are others.
    private static let askTimeout = Duration.seconds(2)

    private let configuration: RedisConfiguration
    private let slot: Int
    private let loop: RedisLoop
    private let state: Mutex<State>

    /// - Parameter tag: what the keys have in common between the braces, which chooses their slot.
    package init(_ configuration: RedisConfiguration, tag: String, loop: RedisLoop = .shared) {
        self.configuration = configuration
        self.loop = loop
        slot = ClusterSlot.number(of: Array(tag.utf8))
        state = Mutex(State(seeds: configuration.seeds))
    }

    /// Notes where the keys are said to be.
    func expect(at address: RedisConfiguration.Address?) { state.withLock { $0.hint = address } }

    /// Connects to the server in charge.
    func connect() async throws(RedisError) -> RedisConnection {
        var target = configuration
        switch configuration.topology {
        case .single: break
        case .sentinel(let primary, _):
            target.address = try await ask { connection throws(RedisError) in
                try await SentinelAnswer.address(of: primary, from: connection)
            }
        case .cluster:
            let hint = state.withLock { state in
                defer { state.hint = nil }
                return state.hint
            }
            if let hint { target.address = hint } else { target.address = try await ownerOfSlot() }
        }
        let connection = try await RedisConnection.connect(target, loop: loop)
        if case .sentinel = configuration.topology { try await connection.checkPrimary() }
        return connection
    }

    private func ownerOfSlot() async throws(RedisError) -> RedisConfiguration.Address {
        let slot = slot
        let map = try await ask { connection throws(RedisError) in try await ClusterMap.read(from: connection) }
        state.withLock { state in
            let fresh = map.nodes.filter { !state.seeds.contains($0) }
            state.seeds += fresh.prefix(max(0, Self.seedCountMax - state.seeds.count))
        }
        guard let owner = map.owner(of: slot) else {
            throw RedisError(
                .serverNotReady, address: configuration.place,
                "no node of the cluster has slot \(slot); wait until it has recovered")
        }
        return owner
    }

    /// Asks one after the other until one answers.
    private func ask<Value: Sendable>(
        _ question: (RedisConnection) async throws(RedisError) -> Value
    ) async throws(RedisError) -> Value {
        var failures: [String] = []
        // What no other attempt would change, if that is what all of them say.
        var final: RedisError?
        var isHopeful = false
        for seed in state.withLock({ $0.seeds }) {
            do throws(RedisError) {
                let connection = try await RedisConnection.connect(asking(seed), loop: loop)
                defer { connection.close() }
                let value = try await question(connection)
                prefer(seed)
                return value
            } catch {
                if error.code == .cancelled { throw error }
                if error.isTransient { isHopeful = true } else { final = final ?? error }
                failures.append(error.description)
            }
        }
        if let final, !isHopeful { throw final }
        throw RedisError(
            .unreachable, address: configuration.place,
            "none of them tells where the primary is: \(failures.joined(separator: "; "))")
    }

    private func asking(_ seed: RedisConfiguration.Address) -> RedisConfiguration {
        var asking = configuration
        asking.address = seed
        asking.topology = .single
        asking.connectTimeout = min(configuration.connectTimeout, Self.askTimeout)
        asking.commandTimeout = min(configuration.commandTimeout, Self.askTimeout)
        if case .sentinel = configuration.topology {
            asking.user = configuration.sentinelUser
            asking.password = configuration.sentinelPassword
            asking.database = 0
        }
        return asking
    }

    private func prefer(_ seed: RedisConfiguration.Address) {
        state.withLock { state in
            guard state.seeds.first != seed, let index = state.seeds.firstIndex(of: seed) else { return }
            state.seeds.remove(at: index)
            state.seeds.insert(seed, at: 0)
        }
    }
}

/// What a Sentinel knows.
enum SentinelAnswer {
    static func address(
        of primary: String, from connection: RedisConnection
    ) async throws(RedisError) -> RedisConfiguration.Address {
        let reply = try await connection.command(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", .string(primary)])
        if case .error(let text) = reply {
            let isOther = text.hasPrefix("ERR unknown command")
            throw RedisError(
                isOther ? .invalidConfiguration : .server, address: connection.address,
                isOther ? "this is no Sentinel; for a server by itself use redis://" : "the Sentinel says: \(text)")
        }
        guard let fields = reply.array, fields.count == 2, let host = fields[0].text, let port = fields[1].text,
            let number = Int(port), (1...65_535).contains(number)
        else {
            throw RedisError(
                .invalidConfiguration, address: connection.address,
                "the Sentinel watches no primary named \(primary); check the name in the URL")
        }
        return .tcp(host: host, port: number)
    }
}

extension RedisConnection {
    /// A Sentinel may name a server that is not the primary any more, or not yet.
    fileprivate func checkPrimary() async throws(RedisError) {
        let reply = try await command(["ROLE"])
        guard let role = reply.array?.first?.text, role != "master" else { return }
        close()
        throw RedisError(
            .serverNotReady, address: address, "the Sentinels name this server, which is a \(role) at the moment")
    }
}
