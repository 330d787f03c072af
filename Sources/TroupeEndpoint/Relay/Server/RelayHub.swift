import Dispatch
import Foundation
import Logging
import NIOCore
import TroupeCore

/// The shell around ``RelayMachine``: all that the relay's connections share. It lives on one event loop, as they all do, so
/// a pipe's bytes go from one connection to the other without a change of threads.
final class RelayHub {
    let loop: any EventLoop
    let name: String
    let limits: RelayLimits
    /// Whether addresses are those that a proxy tells.
    let isBehindProxy: Bool
    private let logger: Logger
    private(set) var machine: RelayMachine
    private(set) var policy: LoadedPolicy
    var metrics = RelayMetrics()
    /// What waits to be written by pipes.
    var bufferedBytes = 0
    private var channels: [ConnectionID: any Channel] = [:]
    private var ends: [ConnectionID: RelayConnection] = [:]
    private var lastNumber: UInt64 = 0
    /// One for each kind, so that a flood of the one hides no other.
    private var refusals: [RelayRefusal: RefusalLog] = [:]
    private var isStopping = false

    init(
        loop: any EventLoop, name: String, limits: RelayLimits, isBehindProxy: Bool, policy: LoadedPolicy,
        logger: Logger
    ) {
        self.loop = loop
        self.name = name
        self.limits = limits
        self.isBehindProxy = isBehindProxy
        self.policy = policy
        self.logger = logger
        machine = RelayMachine(limits: limits)
    }

    var isShortOfMemory: Bool { bufferedBytes >= limits.memorySizeBytesMax }
    var metricsText: String { metrics.text(machine, bufferedBytes: bufferedBytes) }
}

// MARK: Connections

extension RelayHub {
    /// Takes a connection, or says why not.
    func open(_ channel: any Channel) -> Result<ConnectionID, RelayRefused> {
        lastNumber += 1
        let id = ConnectionID(number: lastNumber)
        let address = channel.remoteAddress?.ipAddress ?? "unknown"
        if let refusal = isStopping ? .stopping : machine.open(id, address: isBehindProxy ? nil : address) {
            note(refusal, address)
            return .failure(RelayRefused())
        }
        channels[id] = channel
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in closed(id) }
        let hub = NIOLoopBound(self, eventLoop: loop)
        channel.eventLoop.scheduleTask(in: TimeAmount(limits.loginTimeMax)) { hub.value.endStranger(id) }
        return .success(id)
    }

    struct RelayRefused: Error {}

    private func endStranger(_ id: ConnectionID) {
        guard case .stranger? = machine.connections[id]?.role else { return }
        end(id, .loginTime)
    }

    /// The address that a proxy tells of a connection.
    func forwarded(_ id: ConnectionID, address: String) -> Bool {
        guard let refusal = machine.name(id, address: address) else { return true }
        note(refusal, address)
        return false
    }

    /// A connection speaks WebSocket from now on.
    func attach(_ connection: RelayConnection) { ends[connection.id] = connection }

    private func closed(_ id: ConnectionID) {
        channels[id] = nil
        ends[id] = nil
        run(machine.close(id))
    }

    func note(_ refusal: RelayRefusal, _ whom: String) {
        metrics.refusals[refusal, default: 0] += 1
        guard refusal.isLogged else { return }
        let log = refusals[refusal] ?? RefusalLog(logger, linesMax: 10, window: .seconds(2))
        refusals[refusal] = log
        log.report("a peer was refused", "\(refusal.rawValue), \(refusal.remedy)", ["peer": "\(whom)"])
    }
}

// MARK: Logins and requests

extension RelayHub {
    /// A login whose signature is right. What the policy says may take a moment; the connection waits for it.
    func login(_ login: RelayLogin, _ connection: RelayConnection) {
        if let answer = policy.answer(to: login) { return settle(login, connection, answer) }
        let policy = policy
        // One for each connection that waits to log in, so their number is bounded, and so is what each does.
        loop.makeFutureWithTask { await policy.answerInTime(to: login) }
            .assumeIsolated()
            .whenSuccess { [self] in settle(login, connection, $0) }
    }

    private func settle(_ login: RelayLogin, _ connection: RelayConnection, _ answer: LoadedPolicy.Answer) {
        let member = RelayMember(tenant: login.tenant, id: login.id)
        // It has proven to be that endpoint: who runs the relay sees whom it refuses.
        connection.member = member
        switch answer {
        case .refused(let refusal): end(connection.id, refusal)
        case .admitted(let until):
            let now = ContinuousClock.now
            switch connection.route {
            case .presence:
                let expires = until.map { now + .seconds(max(0, $0 - Date().timeIntervalSince1970)) }
                let actions = machine.login(connection.id, as: member, expires: expires, now: now)
                // It may have gone while its token was looked at.
                guard !actions.isEmpty else { return }
                connection.entersPresence()
                metrics.loginCount += 1
                logger.debug("\(login.id.short) of \(login.tenant) is present", metadata: ["site": "\(login.site)"])
                run(actions)
            case .pipe(let token):
                connection.entersPipe()
                switch machine.claim(token, connection.id, as: member) {
                case .success(let actions): run(actions)
                case .failure: end(connection.id, .pipeToken)
                }
            }
        }
    }

    func handle(_ request: RelayRequest, _ connection: RelayConnection) {
        if case .connect(let number, _) = request, isShortOfMemory {
            return run([machine.refuse(connection.id, number, .memory)])
        }
        run(machine.handle(request, from: connection.id, now: .now))
    }

    /// Counts what a pipe's end has said.
    ///
    /// - Returns: how long to read nothing more of it.
    func forwarded(_ countBytes: Int, from id: ConnectionID) -> Duration {
        if let tenant = machine.tenant(ofPipeEnd: id) { metrics.forwardedBytes[tenant, default: 0] += countBytes }
        return machine.forward(countBytes, from: id, now: .now)
    }

    /// Says why, and ends the connection.
    func end(_ id: ConnectionID, _ refusal: RelayRefusal) { run([.end(id, refusal)]) }

    private func run(_ actions: [RelayMachine.Action]) {
        for action in actions {
            switch action {
            case .send(let id, let event):
                switch event {
                case .signal: metrics.signalCount += 1
                case .refused(.some, let reason, _):
                    if let refusal = RelayRefusal(rawValue: reason) { note(refusal, whom(id)) }
                case .refused(nil, _, _), .challenge, .welcome, .accepted, .presence, .pipe, .incoming, .ready: break
                }
                ends[id]?.send(event)
            case .end(let id, let refusal):
                guard machine.isHere(id) else { continue }
                note(refusal, whom(id))
                run(machine.leave(id))
                if let end = ends[id] {
                    end.end(refusal)
                } else {
                    channels[id]?.close(promise: nil)
                }
            case .join(let one, let other):
                guard let one = ends[one], let other = ends[other] else { continue }
                metrics.pipesOpenedCount += 1
                one.join(other)
                other.join(one)
            case .finish(let id): ends[id]?.finish()
            }
        }
    }

    private func whom(_ id: ConnectionID) -> String {
        let address = channels[id]?.remoteAddress?.ipAddress ?? "unknown"
        return ends[id]?.member.map { "\($0.id.short) of \($0.tenant) at \(address)" } ?? address
    }
}

// MARK: Upkeep

extension RelayHub {
    func tick() { run(machine.tick(now: .now)) }

    /// Takes a policy that was read anew.
    func adopt(_ policy: LoadedPolicy) {
        self.policy = policy
        run(machine.revise { policy.allows($0) })
    }

    /// Says goodbye to all; gives the channels that are to be waited for.
    func stop() -> [any Channel] {
        isStopping = true
        let all = Array(channels.values)
        for id in channels.keys { end(id, .stopping) }
        return all
    }
}
