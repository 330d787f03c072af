import TroupeCore

/// What another site may do here.
package struct SitePolicy: Hashable, Sendable {
    /// Names of actor types, or `Type.method(_:)`; `*` is all.
    package var calls: Set<String> = ["*"]
    /// Which of the operations on the exchange itself.
    package var operations = Operations.look
    /// Stores from which it may read; `*` is all.
    package var stores: Set<String> = ["*"]

    package enum Operations: String, Hashable, Sendable, CaseIterable {
        case none
        /// List and look, without contents.
        case look
        /// Also make actors.
        case spawn
        /// Also see contents, pause, end and change.
        case operate
    }

    package init() {}

    func permits(type: String, method: String) -> Bool {
        guard !type.hasPrefix("@") else { return false }
        return calls.contains("*") || calls.contains(type) || calls.contains("\(type).\(method)")
    }

    /// Whether it may call all methods of a type.
    private func permits(type: String) -> Bool {
        !type.hasPrefix("@") && (calls.contains("*") || calls.contains(type))
    }

    func permits(store: String) -> Bool { stores.contains("*") || stores.contains(store) }

    /// The least of the operations that lets a site do it; nil if none does.
    func least(for operation: Operation) -> Operations? {
        Operations.allCases.first { least in
            var policy = self
            policy.operations = least
            return policy.permits(operation)
        }
    }

    func permits(_ operation: Operation) -> Bool {
        switch operation {
        case .stat(let actor): operations != .none && !actor.type.hasPrefix("@")
        case .list, .workers, .types, .shardStat, .outcome: operations != .none
        case .adopt(let transfer):
            (operations == .spawn || operations == .operate) && permits(type: transfer.registration.id.type)
        case .register(let registration):
            (operations == .spawn || operations == .operate) && !registration.id.type.hasPrefix("@")
        case .state(let actor), .peek(let actor, _, _), .pause(let actor, _), .terminate(let actor),
            .editState(let actor, _), .deadLetters(let actor, _, _), .requeue(let actor, _), .discard(let actor, _),
            .divert(let actor, _):
            operations == .operate && !actor.type.hasPrefix("@")
        case .actorsWithDeadLetters, .drainWorker, .cancel: operations == .operate
        case .send, .receive, .registerWorker, .heartbeat, .claim, .deliveries, .commit, .release, .deregister,
            .hold, .collected, .keep, .counted, .foreignObjects, .condemn, .condemned, .acquit, .outbox, .forward,
            .settleOutbox, .brought, .tick, .transfer, .endMove:
            false
        }
    }
}
