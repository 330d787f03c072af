import NIOCore

extension NATReport {
    /// Asks the servers of a configuration; takes at most ten seconds.
    package static func make(_ configuration: ICEConfiguration) async throws(EndpointError) -> NATReport {
        guard !configuration.stun.isEmpty || !configuration.turn.isEmpty else {
            throw EndpointError(
                .invalidArgument,
                "there is nobody to ask: name two servers of \"nat\".\"stun\", or a TURN server, in the endpoint's settings"
            )
        }
        // A TURN server over UDP answers the questions of STUN as well.
        var named = configuration.stun
        for turn in configuration.turn where turn.transport == .udp && !named.contains(turn.address) {
            named.append(turn.address)
        }
        var asked: [SocketAddress] = []
        for server in named {
            if let address = await ICEServers.socketAddress(server), address.protocol == .inet { asked.append(address) }
        }
        let seen = asked.isEmpty ? STUNProbe.Result(localPort: 0, mapped: []) : try await STUNProbe.run(asked)
        return NATReport(
            seenAs: seen.mapped.map { $0.map { "\($0.host):\($0.port)" } }, mapping: mapping(seen),
            turn: await tryTURN(configuration))
    }

    private static func mapping(_ seen: STUNProbe.Result) -> Mapping {
        let mapped = seen.mapped.compactMap { $0 }
        guard let first = mapped.first else { return .unknown }
        if first.port == seen.localPort, isOwn(first.host) { return .none }
        guard mapped.count > 1 else { return .unknown }
        return mapped.allSatisfy { $0 == first } ? .endpointIndependent : .endpointDependent
    }

    private static func isOwn(_ host: String) -> Bool {
        let devices = (try? System.enumerateDevices()) ?? []
        return devices.contains { $0.address?.ipAddress == host }
    }

    /// Asks each TURN server for an address, as a connection would.
    private static func tryTURN(_ configuration: ICEConfiguration) async -> [TURN] {
        await withTaskGroup { group in
            for (index, server) in configuration.turn.prefix(4).enumerated() {
                group.addTask { (index, TURN(server: "\(server)", works: await works(server, configuration))) }
            }
            var results: [(Int, TURN)] = []
            for await result in group { results.append(result) }
            return results.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private static func works(_ server: TURNServer, _ configuration: ICEConfiguration) async -> Bool {
        var alone = configuration
        alone.stun = []
        alone.turn = [server]
        guard let servers = try? await ICEServers.resolve(alone) else { return false }
        let (events, feed) = AsyncStream<PathEvent>.makeStream(bufferingPolicy: .bufferingOldest(256))
        // No connection comes of it, so whose peer it would be does not matter.
        let driver = PathDriver(peer: EndpointKey().id) { feed.yield($0) }
        let limit = Task {
            // Ends the wait for a server that is silent; libnice would wait longer.
            try? await Task.sleep(for: .seconds(5))
            feed.finish()
        }
        defer { limit.cancel() }
        var isRelayed = false
        if (try? await driver.begin(controlling: true, servers: servers, configuration: alone)) != nil {
            for await event in events {
                if case .candidate(let line) = event, CandidateType(ofCandidate: line) == .relayed { isRelayed = true }
                if isRelayed || event == .gathered { break }
            }
        }
        await driver.close(EndpointError(.closed, "only a trial"))
        return isRelayed
    }
}
