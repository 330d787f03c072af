import OrderedCollections
import Synchronization

/// An endpoint that came or went, as relays tell.
package struct PresenceChange: Sendable, Hashable {
    package var id: EndpointID
    /// Whether at least one of our relays can reach it.
    package var isPresent: Bool
}

/// What is known of the endpoints that are watched, at all relays together, and what of it is still to be told.
///
/// Whoever is slow to listen gets the last state of each endpoint, so no more waits than there are endpoints.
final class PresenceTable: Sendable {
    private struct State {
        var watched: Set<EndpointID> = []
        /// At which relays an endpoint is.
        var present: [EndpointID: Set<Int>] = [:]
        /// Which relays have said that it is not there.
        var absent: [EndpointID: Set<Int>] = [:]
        var told: Set<EndpointID> = []
        var changed: OrderedSet<EndpointID> = []
    }

    private let state = Mutex(State())
    private let bell: AsyncStream<Void>.Continuation
    private let rings: AsyncStream<Void>

    init() { (rings, bell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    var watched: [EndpointID] { state.withLock { Array($0.watched) } }

    /// - Returns: what is watched now and was not, and what is not any more.
    func watch(_ ids: Set<EndpointID>) -> (added: [EndpointID], removed: [EndpointID]) {
        let (added, removed) = state.withLock { state in
            let removed = state.watched.subtracting(ids)
            for id in removed {
                if state.present.removeValue(forKey: id) != nil { state.changed.append(id) }
                state.absent[id] = nil
            }
            defer { state.watched = ids }
            return (ids.subtracting(state.watched), removed)
        }
        bell.yield()
        return (Array(added), Array(removed))
    }

    func relay(_ relay: Int, present: [EndpointID], absent: [EndpointID]) {
        state.withLock { state in
            for id in present where state.watched.contains(id) {
                state.present[id, default: []].insert(relay)
                state.absent[id]?.remove(relay)
                state.changed.append(id)
            }
            for id in absent where state.watched.contains(id) {
                state.absent[id, default: []].insert(relay)
                Self.remove(id, relay, &state)
            }
        }
        bell.yield()
    }

    /// A relay can be reached no more, so nothing can be reached through it.
    func relayIsLost(_ relay: Int) {
        state.withLock { state in
            for id in Array(state.present.keys) { Self.remove(id, relay, &state) }
            for id in Array(state.absent.keys) { state.absent[id]?.remove(relay) }
        }
        bell.yield()
    }

    private static func remove(_ id: EndpointID, _ relay: Int, _ state: inout State) {
        guard state.present[id]?.remove(relay) != nil else { return }
        if state.present[id]?.isEmpty == true { state.present[id] = nil }
        state.changed.append(id)
    }

    func relays(of id: EndpointID) -> Set<Int> { state.withLock { $0.present[id] ?? [] } }

    /// The relays that have said of an endpoint that is watched that it is not there; they say when it comes.
    func relays(without id: EndpointID) -> Set<Int> { state.withLock { $0.absent[id] ?? [] } }

    func finish() { bell.finish() }

    private func nextChange() -> PresenceChange? {
        state.withLock { state in
            while let id = state.changed.first {
                state.changed.removeFirst()
                let isPresent = state.present[id] != nil
                guard isPresent != state.told.contains(id) else { continue }
                if isPresent { state.told.insert(id) } else { state.told.remove(id) }
                return PresenceChange(id: id, isPresent: isPresent)
            }
            return nil
        }
    }

    /// One reader at a time.
    var changes: PresenceChanges {
        PresenceChanges(rings: rings.makeAsyncIterator()) { self.nextChange() }
    }
}

/// Changes as they come; ends with the client. One reader at a time.
package struct PresenceChanges: AsyncSequence, AsyncIteratorProtocol {
    package typealias Element = PresenceChange
    package typealias Failure = Never

    fileprivate var rings: AsyncStream<Void>.AsyncIterator
    fileprivate let take: @Sendable () -> PresenceChange?

    package func makeAsyncIterator() -> PresenceChanges { self }

    package mutating func next() async -> PresenceChange? {
        while true {
            if let change = take() { return change }
            if await rings.next() == nil { return take() }
        }
    }
}
