internal import TroupeCore

extension RedisConnection {
    /// Connects: looks the host up, reaches it, sets up TLS, logs in, chooses the database and checks that a Redis
    /// server answers, all within `connectTimeout`.
    package static func connect(
        _ configuration: RedisConfiguration, loop: RedisLoop = .shared
    ) async throws(RedisError) -> RedisConnection {
        try RedisConfiguration.checkPrefix(configuration.prefix)
        let deadline = monotonicNanoseconds().advanced(by: configuration.connectTimeout)
        let name = configuration.address.description
        let targets = try await resolve(configuration, loop: loop, deadline: deadline)
        var last = RedisError.unreachable(name, "the host has no address")
        for target in targets {
            do throws(RedisError) {
                return try await connect(configuration, to: target, loop: loop, deadline: deadline)
            } catch {
                guard error.code == .unreachable else { throw error }
                last = error
            }
        }
        throw last
    }

    private static func connect(
        _ configuration: RedisConfiguration, to target: SystemAddress, loop: RedisLoop, deadline: UInt64
    ) async throws(RedisError) -> RedisConnection {
        let name = configuration.address.description
        let limits = RedisChannel.Limits(
            replySizeBytesMax: configuration.replySizeBytesMax,
            replyElementCountMax: configuration.replyElementCountMax,
            commandsInFlightMax: configuration.commandsInFlightMax,
            unsentSizeBytesMax: configuration.unsentSizeBytesMax)
        var tls: TLSEngine.Setup?
        if let options = configuration.tls, case .tcp(let host, _) = configuration.address {
            tls = try TLSEngine.Setup(options, host: host, address: target, at: name)
        }
        let channel = try RedisChannel.open(to: target, address: name, tls: tls, limits: limits, loop: loop)
        let connection = RedisConnection(channel: channel, configuration: configuration)
        do throws(RedisError) {
            try await connection.greet(within: remaining(until: deadline))
        } catch {
            // A command that came after the end was only refused; the end itself tells why.
            let cause = channel.end ?? error
            connection.close()
            guard cause.code == .timedOut else { throw cause }
            throw noAnswer(configuration)
        }
        return connection
    }

    /// Logs in and so on, in one round trip.
    private func greet(within time: Duration) async throws(RedisError) {
        var steps: [(pending: RedisPending, check: (String) -> RedisError?)] = []
        func ask(_ arguments: [RedisArgument], _ check: @escaping (String) -> RedisError?) {
            steps.append((submit(arguments, timeout: .after(time)), check))
        }
        if configuration.password != nil || configuration.user != nil {
            let user: [RedisArgument] = configuration.user.map { [.string($0)] } ?? []
            ask(["AUTH"] + user + [.string(configuration.password?.text ?? "")], loginError)
        }
        if configuration.database != 0 { ask(["SELECT", .integer(configuration.database)], databaseError) }
        // A user who may not name the connection can still use it.
        ask(["CLIENT", "SETNAME", .string(configuration.clientName)]) { _ in nil }
        ask(["PING"], pingError)
        for step in steps {
            guard case .error(let text) = try await step.pending.value() else { continue }
            if let error = step.check(text) { throw error }
        }
    }

    private func loginError(_ text: String) -> RedisError? {
        if let error = notReady(text) { return error }
        let who = configuration.user ?? "default"
        let remedy =
            text.contains("without any password")
            ? "the server has no password: leave it out of the URL and \(RedisConfiguration.passwordVariable)"
            : "check the password in the URL, its ?password-file= or \(RedisConfiguration.passwordVariable)"
        return RedisError(
            .authenticationFailed, address: address, "the server refused the user \(who) (\(text)); \(remedy)")
    }

    private func databaseError(_ text: String) -> RedisError? {
        if let error = notReady(text) ?? passwordMissing(text) { return error }
        return RedisError(
            .databaseRefused, address: address,
            "database \(configuration.database) was refused (\(text)); choose one that the server has and the user "
                + "may use")
    }

    private func pingError(_ text: String) -> RedisError? {
        if let error = notReady(text) ?? passwordMissing(text) { return error }
        // A user who may not PING may still be allowed what we need.
        if text.hasPrefix("NOPERM") { return nil }
        return RedisError(.server, address: address, "the server does not serve us: \(text)")
    }

    private func notReady(_ text: String) -> RedisError? {
        let words = ["LOADING", "MASTERDOWN", "BUSY", "ERR max number of clients"]
        guard words.contains(where: { text.hasPrefix($0) }) else { return nil }
        return RedisError(.serverNotReady, address: address, "the server is not ready: \(text); try again later")
    }

    private func passwordMissing(_ text: String) -> RedisError? {
        guard text.hasPrefix("NOAUTH") else { return nil }
        return RedisError(
            .authenticationFailed, address: address,
            "the server asks for a password; put it into \(RedisConfiguration.passwordVariable), a file named by "
                + "?password-file=, or the URL")
    }

    private static func noAnswer(_ configuration: RedisConfiguration) -> RedisError {
        let further = configuration.tls == nil ? "" : ", or the port does not expect TLS (then use redis://)"
        return RedisError(
            .timedOut, address: configuration.address.description,
            "no answer within \(configuration.connectTimeout) of connecting; the server hangs, a firewall drops "
                + "packets, or something other than Redis listens there\(further)")
    }

    private static func remaining(until deadline: UInt64) -> Duration {
        let now = monotonicNanoseconds()
        return .nanoseconds(Int64(clamping: deadline > now ? deadline - now : 0))
    }

    // MARK: Addresses

    private static func resolve(
        _ configuration: RedisConfiguration, loop: RedisLoop, deadline: UInt64
    ) async throws(RedisError) -> [SystemAddress] {
        let name = configuration.address.description
        switch configuration.address {
        case .unix(let path):
            guard let address = SystemAddress.unix(path: path) else {
                throw RedisError(.invalidConfiguration, address: name, "the socket's path is longer than 107 bytes")
            }
            return [address]
        case .tcp(let host, let port):
            let numeric = SystemAddress.lookUp(host: host, port: port, numericOnly: true)
            if case .success(let found) = numeric { return found }
            // A look-up blocks without a limit of its own: it gets a thread that nobody waits for past the deadline.
            let slot = OneShot<[SystemAddress]>()
            startThread(name: "troupe-lookup") {
                let found = SystemAddress.lookUp(host: host, port: port, numericOnly: false)
                slot.complete(found.mapError { .unreachable(name, "\(host) does not resolve: \($0.text)") })
            }
            let timer = loop.schedule(at: deadline) { slot.complete(.failure(noAnswer(configuration))) }
            defer { loop.cancelTimer(timer) }
            return try await slot.value(onCancel: {
                RedisError(.cancelled, address: name, "connecting was cancelled")
            }).get()
        }
    }
}
