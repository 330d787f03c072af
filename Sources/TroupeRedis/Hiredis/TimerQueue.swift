/// Actions by the moment at which they are due: a binary heap, where cancelled entries stay until they surface or
/// outnumber the others.
struct TimerQueue: Sendable {
    typealias Action = @Sendable () -> Void

    private struct Entry {
        let moment: UInt64
        let id: UInt64
    }

    private var heap: [Entry] = []
    private var actions: [UInt64: Action] = [:]
    private var idLast: UInt64 = 0

    /// The earliest moment at which something may be due.
    var next: UInt64? { heap.first?.moment }

    mutating func add(at moment: UInt64, _ action: @escaping Action) -> (id: UInt64, isFirst: Bool) {
        idLast += 1
        actions[idLast] = action
        heap.append(Entry(moment: moment, id: idLast))
        siftUp(heap.count - 1)
        return (idLast, heap[0].id == idLast)
    }

    /// Gives the action back, so that what it refers to is not let go under somebody's lock.
    mutating func cancel(_ id: UInt64) -> Action? {
        guard let action = actions.removeValue(forKey: id) else { return nil }
        if heap.count > 64, heap.count > actions.count * 2 {
            // A sorted array is a heap.
            heap = heap.filter { actions[$0.id] != nil }.sorted { $0.moment < $1.moment }
        }
        return action
    }

    mutating func takeDue(now: UInt64) -> [Action] {
        var due: [Action] = []
        while let first = heap.first, first.moment <= now {
            removeFirst()
            if let action = actions.removeValue(forKey: first.id) { due.append(action) }
        }
        return due
    }

    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var index = 0
        while true {
            var least = index
            for child in [index * 2 + 1, index * 2 + 2] where child < heap.count {
                if heap[child].moment < heap[least].moment { least = child }
            }
            if least == index { return }
            heap.swapAt(index, least)
            index = least
        }
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0, heap[index].moment < heap[(index - 1) / 2].moment {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }
}
