import Synchronization

/// Which managed objects of this site a message, a result or a state may speak of: those that the exchange counts.
///
/// Whoever knows an object's key could say of it that it is managed; were that believed, the object would be deleted when
/// the reference is dropped. So a decoder that carries this (`userInfo[.arrivingReferences]`) makes references to others
/// unmanaged, and notes them, so that the exchange can be asked.
package final class ArrivingReferences: Sendable {
    private struct State {
        var counted: Set<String>
        var unsure: Set<String> = []
        var isSettled = false
    }
    private let state: Mutex<State>

    /// Of more than these none is noted, and so none is managed.
    package static let unsureMax = 100_000

    package init(counted: [String] = []) { state = Mutex(State(counted: Set(counted))) }

    /// What was mentioned and is not known to be counted.
    package var unsure: [String] { state.withLock { Array($0.unsure) } }

    /// The exchange was asked: these it counts, and others of ``unsure`` it does not.
    package func settle(counted ids: some Sequence<String>) {
        state.withLock { state in
            state.counted.formUnion(ids)
            state.unsure = []
            state.isSettled = true
        }
    }

    /// Whether the exchange was asked.
    var isSettled: Bool { state.withLock { $0.isSettled } }

    func isCounted(_ id: String) -> Bool {
        state.withLock { state in
            if state.counted.contains(id) { return true }
            if state.unsure.count < Self.unsureMax { state.unsure.insert(id) }
            return false
        }
    }
}
