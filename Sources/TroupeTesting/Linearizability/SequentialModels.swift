/// One number that is read, written, and exchanged if it is what it is expected to be.
package enum RegisterModel: SequentialModel {
    package enum Operation: Codable, Hashable, Sendable {
        case read
        case write(Int)
        case exchange(from: Int, to: Int)
    }

    package enum Answer: Codable, Hashable, Sendable {
        case value(Int)
        case written
        case exchanged(Bool)
    }

    package static let initial = 0

    package static func apply(_ operation: Operation, to state: inout Int) -> Answer {
        switch operation {
        case .read: return .value(state)
        case .write(let value):
            state = value
            return .written
        case .exchange(let from, let to):
            guard state == from else { return .exchanged(false) }
            state = to
            return .exchanged(true)
        }
    }
}

/// A set of numbers; changes tell whether they changed anything.
package enum SetModel: SequentialModel {
    package enum Operation: Codable, Hashable, Sendable {
        case insert(Int)
        case remove(Int)
        case contains(Int)
    }

    package static let initial: Set<Int> = []

    package static func apply(_ operation: Operation, to state: inout Set<Int>) -> Bool {
        switch operation {
        case .insert(let member): state.insert(member).inserted
        case .remove(let member): state.remove(member) != nil
        case .contains(let member): state.contains(member)
        }
    }
}

/// A number that is added to, and answers its sum.
package enum CounterModel: SequentialModel {
    package static let initial = 0

    /// The operation is the number to add; 0 reads.
    package static func apply(_ operation: Int, to state: inout Int) -> Int {
        state += operation
        return state
    }
}
