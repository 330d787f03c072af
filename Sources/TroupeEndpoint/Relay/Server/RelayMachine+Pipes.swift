extension RelayMachine {
    /// A pipe, from the asking to the end of its first end.
    struct Pipe: Sendable {
        let asker: RelayMember
        let target: RelayMember
        let expires: ContinuousClock.Instant
        var askerEnd: ConnectionID?
        var targetEnd: ConnectionID?
        var bytes: TokenBucket?

        var isOpen: Bool { askerEnd != nil && targetEnd != nil }
    }

    struct PipeCount: Sendable, Hashable {
        var asked = 0
        var wasAsked = 0
    }

    /// Pipes that others may have asked of an endpoint, for each that it may ask for itself.
    private static let targetShare = 4

    mutating func connect(
        _ id: ConnectionID, _ asker: RelayMember, to targetID: EndpointID, _ request: UInt32,
        _ now: ContinuousClock.Instant
    ) -> [Action] {
        guard limits.isForwarding else { return [refuse(id, request, .forwardingOff)] }
        let target = RelayMember(tenant: asker.tenant, id: targetID)
        guard let receiver = present[target], target != asker else { return [refuse(id, request, .notThere)] }
        guard pipeCounts[asker, default: PipeCount()].asked < limits.pipesPerEndpointMax,
            pipeCounts[target, default: PipeCount()].wasAsked < limits.pipesPerEndpointMax * Self.targetShare
        else { return [refuse(id, request, .pipeCount)] }
        pipeCounts[asker, default: PipeCount()].asked += 1
        pipeCounts[target, default: PipeCount()].wasAsked += 1
        let token = PipeToken()
        let bucket = limits.pipeBytesPerSecond.map { TokenBucket(ratePerSecond: $0, burst: $0, now: now) }
        pipes[token] = Pipe(asker: asker, target: target, expires: now + limits.pipeClaimTimeMax, bytes: bucket)
        return [
            .send(receiver, .incoming(from: asker.id, token: token)),
            .send(id, .pipe(request: request, token: token)),
        ]
    }

    /// One of the two has come to open its end, and proven who it is.
    mutating func claim(
        _ token: PipeToken, _ id: ConnectionID, as member: RelayMember
    ) -> Result<
        [Action], PipeRefused
    > {
        guard case .stranger? = connections[id]?.role, var pipe = pipes[token] else { return .failure(PipeRefused()) }
        if member == pipe.asker, pipe.askerEnd == nil {
            pipe.askerEnd = id
        } else if member == pipe.target, pipe.targetEnd == nil {
            pipe.targetEnd = id
        } else {
            return .failure(PipeRefused())
        }
        pipes[token] = pipe
        connections[id]?.role = .pipe(token)
        strangerHasLoggedIn()
        guard let asker = pipe.askerEnd, let target = pipe.targetEnd else { return .success([]) }
        return .success([.send(asker, .ready), .send(target, .ready), .join(asker, target)])
    }

    /// The token is no pipe's of this member.
    struct PipeRefused: Error {}

    /// Counts what was forwarded.
    ///
    /// - Returns: how long to read nothing more from this end.
    mutating func forward(_ countBytes: Int, from id: ConnectionID, now: ContinuousClock.Instant) -> Duration {
        guard case .pipe(let token)? = connections[id]?.role, let tenant = pipes[token]?.asker.tenant else {
            return .zero
        }
        let ofPipe = pipes[token]?.bytes?.take(Double(countBytes), now: now) ?? .zero
        guard let rate = limits.tenantBytesPerSecond else { return ofPipe }
        let ofTenant = tenants[tenant, default: TokenBucket(ratePerSecond: rate, burst: rate, now: now)]
            .take(Double(countBytes), now: now)
        return max(ofPipe, ofTenant)
    }

    func tenant(ofPipeEnd id: ConnectionID) -> String? {
        guard case .pipe(let token)? = connections[id]?.role else { return nil }
        return pipes[token]?.asker.tenant
    }

    mutating func endPipe(_ token: PipeToken, except id: ConnectionID) -> [Action] {
        guard let pipe = pipes.removeValue(forKey: token) else { return [] }
        release(pipe)
        return [pipe.askerEnd, pipe.targetEnd].compactMap { $0 == id ? nil : $0 }.map { .finish($0) }
    }

    mutating func endUnclaimed(_ now: ContinuousClock.Instant) -> [Action] {
        var actions: [Action] = []
        for (token, pipe) in pipes where !pipe.isOpen && pipe.expires <= now {
            pipes[token] = nil
            release(pipe)
            actions += [pipe.askerEnd, pipe.targetEnd].compactMap { $0 }.map { .end($0, .pipeToken) }
        }
        return actions
    }

    private mutating func release(_ pipe: Pipe) {
        pipeCounts[pipe.asker]?.asked -= 1
        if pipeCounts[pipe.asker] == PipeCount() { pipeCounts[pipe.asker] = nil }
        pipeCounts[pipe.target]?.wasAsked -= 1
        if pipeCounts[pipe.target] == PipeCount() { pipeCounts[pipe.target] = nil }
    }
}
