/// One connection to the relay, for as long as it lasts.
struct ConnectionID: Hashable, Sendable {
    let number: UInt64
}

/// An endpoint in a tenant. The same key in two tenants is two members, which know nothing of each other.
struct RelayMember: Hashable, Sendable {
    let tenant: String
    let id: EndpointID
}

/// What the relay knows and decides: who is there, who watches whom, which pipes there are, and who has had his share.
///
/// It does no I/O: connections and messages go in, with the time; what to say to whom comes out. Nothing in it outlives the
/// process, and nothing needs to: endpoints log in and watch again.
struct RelayMachine: Sendable {
    enum Action: Hashable, Sendable {
        case send(ConnectionID, RelayEvent)
        /// Says why, and ends the connection.
        case end(ConnectionID, RelayRefusal)
        /// From now on what the one sends goes to the other.
        case join(ConnectionID, ConnectionID)
        /// Ends a connection whose counterpart has ended, after all that waits for it.
        case finish(ConnectionID)
    }

    struct Connection: Sendable {
        enum Role: Sendable {
            case stranger
            case presence(Presence)
            case pipe(PipeToken)
            /// It was told to go, and is counted until it has.
            case leaving
        }

        var address: String?
        var role: Role
    }

    struct Presence: Sendable {
        let member: RelayMember
        let expires: ContinuousClock.Instant?
        var watched: Set<EndpointID> = []
        var signals: TokenBucket
    }

    let limits: RelayLimits
    var connections: [ConnectionID: Connection] = [:]
    var present: [RelayMember: ConnectionID] = [:]
    var watchers: [RelayMember: Set<ConnectionID>] = [:]
    var pipes: [PipeToken: Pipe] = [:]
    /// Pipes that a member has asked for, and that were asked of it.
    var pipeCounts: [RelayMember: PipeCount] = [:]
    var tenants: [String: TokenBucket] = [:]
    private var addressCounts: [String: Int] = [:]
    private(set) var strangerCount = 0

    init(limits: RelayLimits) { self.limits = limits }
}

// MARK: Connections

extension RelayMachine {
    /// A connection has come. Its address is counted, unless it is known only later (behind a proxy).
    mutating func open(_ id: ConnectionID, address: String?) -> RelayRefusal? {
        precondition(connections[id] == nil, "a connection comes once")
        if connections.count >= limits.connectionCountMax { return .connections }
        if strangerCount >= limits.unauthenticatedCountMax { return .unauthenticated }
        if let address, !countAddress(address) { return .connectionsOfAddress }
        connections[id] = Connection(address: address, role: .stranger)
        strangerCount += 1
        return nil
    }

    /// The address has become known.
    mutating func name(_ id: ConnectionID, address: String) -> RelayRefusal? {
        guard let connection = connections[id], connection.address == nil else { return nil }
        guard countAddress(address) else { return .connectionsOfAddress }
        connections[id]?.address = address
        return nil
    }

    /// A connection has proven who it is.
    mutating func strangerHasLoggedIn() { strangerCount -= 1 }

    private mutating func countAddress(_ address: String) -> Bool {
        guard addressCounts[address, default: 0] < limits.connectionsOfAddressMax else { return false }
        addressCounts[address, default: 0] += 1
        return true
    }

    /// A connection is gone, for whatever reason. One that was refused at ``open(_:address:)`` is none.
    mutating func close(_ id: ConnectionID) -> [Action] {
        let actions = leave(id)
        guard let connection = connections.removeValue(forKey: id) else { return [] }
        if let address = connection.address, let count = addressCounts[address] {
            addressCounts[address] = count > 1 ? count - 1 : nil
        }
        return actions
    }

    /// A connection was told to go: it is nobody's from now on, however long it takes to say goodbye.
    mutating func leave(_ id: ConnectionID) -> [Action] {
        guard let role = connections[id]?.role else { return [] }
        connections[id]?.role = .leaving
        switch role {
        case .leaving: return []
        case .stranger:
            strangerCount -= 1
            return []
        case .presence(let presence):
            return leave(id, presence)
        case .pipe(let token):
            return endPipe(token, except: id)
        }
    }

    /// Whether a connection is there and was not told to go.
    func isHere(_ id: ConnectionID) -> Bool {
        switch connections[id]?.role {
        case nil, .leaving: false
        case .stranger, .presence, .pipe: true
        }
    }

    private mutating func leave(_ id: ConnectionID, _ presence: Presence) -> [Action] {
        for watched in presence.watched { stopWatching(id, watched, in: presence.member.tenant) }
        // One that was replaced is not there any more, and its endpoint still is.
        guard present[presence.member] == id else { return [] }
        present[presence.member] = nil
        return tell(of: presence.member, present: [], absent: [presence.member.id])
    }

    private mutating func stopWatching(_ id: ConnectionID, _ watched: EndpointID, in tenant: String) {
        let member = RelayMember(tenant: tenant, id: watched)
        watchers[member]?.remove(id)
        if watchers[member]?.isEmpty == true { watchers[member] = nil }
    }

    private func tell(of member: RelayMember, present: [EndpointID], absent: [EndpointID]) -> [Action] {
        (watchers[member] ?? []).map { .send($0, .presence(present: present, absent: absent)) }
    }
}

// MARK: Presence

extension RelayMachine {
    /// An endpoint has proven who it is. What it said before on another connection is replaced.
    mutating func login(
        _ id: ConnectionID, as member: RelayMember, expires: ContinuousClock.Instant?, now: ContinuousClock.Instant
    ) -> [Action] {
        guard case .stranger? = connections[id]?.role else { return [] }
        let bucket = TokenBucket(
            ratePerSecond: limits.signalsPerSecond, burst: max(1, limits.signalsPerSecond * 2), now: now)
        connections[id]?.role = .presence(Presence(member: member, expires: expires, signals: bucket))
        strangerHasLoggedIn()
        let former = present.updateValue(id, forKey: member)
        let welcome = RelayWelcome(
            frameSizeBytesMax: limits.frameSizeBytesMax, signalSizeBytesMax: limits.signalSizeBytesMax,
            isForwarding: limits.isForwarding)
        var actions: [Action] = [.send(id, .welcome(welcome))]
        if let former {
            actions.append(.end(former, .replaced))
        } else {
            actions += tell(of: member, present: [member.id], absent: [])
        }
        return actions
    }

    /// What an endpoint asks for, after its login.
    mutating func handle(_ request: RelayRequest, from id: ConnectionID, now: ContinuousClock.Instant) -> [Action] {
        guard case .presence(var presence)? = connections[id]?.role else { return [.end(id, .malformed)] }
        // One that was replaced is on its way out, and acts for nobody.
        guard present[presence.member] == id else { return [] }
        switch request {
        case .login:
            return [.end(id, .malformed)]
        case .watch(let ids):
            return watch(ids, id, presence)
        case .unwatch(let ids):
            for watched in ids where presence.watched.remove(watched) != nil {
                stopWatching(id, watched, in: presence.member.tenant)
            }
            connections[id]?.role = .presence(presence)
            return []
        case .signal(let request, let target, let bytes):
            let isWithinRate = presence.signals.takeIfThere(1, now: now)
            connections[id]?.role = .presence(presence)
            guard bytes.count <= limits.signalSizeBytesMax else { return [refuse(id, request, .signalSize)] }
            guard isWithinRate else { return [refuse(id, request, .signalRate)] }
            guard let receiver = self.present[RelayMember(tenant: presence.member.tenant, id: target)] else {
                return [refuse(id, request, .notThere)]
            }
            return [
                .send(receiver, .signal(from: presence.member.id, bytes: bytes)),
                .send(id, .accepted(request: request)),
            ]
        case .connect(let request, let target):
            let isWithinRate = presence.signals.takeIfThere(1, now: now)
            connections[id]?.role = .presence(presence)
            guard isWithinRate else { return [refuse(id, request, .signalRate)] }
            return connect(id, presence.member, to: target, request, now)
        }
    }

    private mutating func watch(_ ids: [EndpointID], _ id: ConnectionID, _ presence: Presence) -> [Action] {
        var presence = presence
        let added = Set(ids).subtracting(presence.watched)
        guard presence.watched.count + added.count <= limits.watchCountMax else { return [.end(id, .watchCount)] }
        presence.watched.formUnion(added)
        connections[id]?.role = .presence(presence)
        var here: [EndpointID] = []
        var absent: [EndpointID] = []
        for watched in added {
            let member = RelayMember(tenant: presence.member.tenant, id: watched)
            watchers[member, default: []].insert(id)
            if present[member] == nil { absent.append(watched) } else { here.append(watched) }
        }
        return added.isEmpty ? [] : [.send(id, .presence(present: here, absent: absent))]
    }

    func refuse(_ id: ConnectionID, _ request: UInt32, _ refusal: RelayRefusal) -> Action {
        .send(id, .refused(request: request, reason: refusal.rawValue, detail: refusal.remedy))
    }

    /// Ends what may no longer be here: members that a changed list does not name any more.
    func revise(isAllowed: (RelayMember) -> Bool) -> [Action] {
        connections.compactMap { id, connection in
            switch connection.role {
            case .stranger, .leaving: nil
            case .presence(let presence): isAllowed(presence.member) ? nil : .end(id, .notAllowed)
            case .pipe(let token):
                pipes[token].map { isAllowed($0.asker) && isAllowed($0.target) } ?? true ? nil : .end(id, .notAllowed)
            }
        }
    }

    /// Ends what time has ended: logins by tokens that have expired, pipes that nobody came for.
    mutating func tick(now: ContinuousClock.Instant) -> [Action] {
        var actions = endUnclaimed(now)
        for (id, connection) in connections {
            if case .presence(let presence) = connection.role, let expires = presence.expires, expires <= now {
                actions.append(.end(id, .tokenExpired))
            }
        }
        return actions
    }
}
