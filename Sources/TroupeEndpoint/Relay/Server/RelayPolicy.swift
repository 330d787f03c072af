package import SystemPackage

/// Who may log in to a relay.
package enum RelayPolicy: Sendable, Hashable {
    /// Whoever comes, all in one tenant: for tries, and for networks where all may see each other.
    case open
    /// Whoever a file names; see ``RelayAllowList``.
    case allowList(FilePath)
    /// Whoever has a token made with the file's key; see ``RelayTokenKeys``.
    case tokens(FilePath)

    /// Reads what the policy needs.
    func load() async throws(EndpointError) -> LoadedPolicy {
        switch self {
        case .open: .open
        case .allowList(let path): .allowList(try RelayAllowList(path: path))
        case .tokens(let path): .tokens(try await RelayTokenKeys(path: path))
        }
    }
}

/// A policy with what its file says.
enum LoadedPolicy: Sendable {
    case open
    case allowList(RelayAllowList)
    case tokens(RelayTokenKeys)

    enum Answer: Sendable, Hashable {
        case refused(RelayRefusal)
        /// Until then, in seconds since 1970, if there is an end.
        case admitted(until: Double?)
    }

    /// The answer, unless it takes time: a token's does.
    func answer(to login: RelayLogin) -> Answer? {
        let member = RelayMember(tenant: login.tenant, id: login.id)
        return switch self {
        case .open: login.tenant == TenantName.standard ? .admitted(until: nil) : .refused(.notAllowed)
        case .allowList(let list): list.contains(member) ? .admitted(until: nil) : .refused(.notAllowed)
        case .tokens: login.token == nil ? .refused(.token) : nil
        }
    }

    func answerInTime(to login: RelayLogin) async -> Answer {
        if let answer = answer(to: login) { return answer }
        guard case .tokens(let keys) = self, let token = login.token,
            let until = await keys.check(token, of: RelayMember(tenant: login.tenant, id: login.id))
        else { return .refused(.token) }
        return .admitted(until: until)
    }

    /// Whether a member that was admitted before still may be here.
    func allows(_ member: RelayMember) -> Bool {
        switch self {
        case .open, .tokens: true
        case .allowList(let list): list.contains(member)
        }
    }
}
