/// A command that was accepted and whose reply is not in yet.
struct InFlight: Sendable {
    enum Sink: Sendable {
        case pending(OneShot<RedisReply>)
        case callback(@Sendable (Result<RedisReply, RedisError>) -> Void)
        /// Nobody waits any more; the reply is dropped when it comes.
        case discard

        func complete(_ result: Result<RedisReply, RedisError>) {
            switch self {
            case .pending(let slot): slot.complete(result)
            case .callback(let callback): callback(result)
            case .discard: break
            }
        }
    }

    var sink: Sink
    /// On the loop's clock; `.max` for none.
    let deadline: UInt64
    let timeout: Duration?
    let name: RedisArgument
}

/// Commands in the order in which their replies will come.
struct InFlightQueue: Sendable {
    private var storage: [InFlight] = []
    private var head = 0

    var count: Int { storage.count - head }

    mutating func append(_ command: InFlight) { storage.append(command) }

    mutating func popFirst() -> InFlight? {
        guard head < storage.count else { return nil }
        let first = storage[head]
        storage[head].sink = .discard
        head += 1
        if head == storage.count {
            storage.removeAll(keepingCapacity: head <= 1024)
            head = 0
        } else if head >= 1024, head * 2 >= storage.count {
            storage.removeFirst(head)
            head = 0
        }
        return first
    }

    mutating func removeAll() -> [InFlight] {
        defer {
            storage = []
            head = 0
        }
        return Array(storage[head...])
    }

    /// Takes the sinks of commands whose time is up and leaves their places, since their replies will still come;
    /// also tells the next deadline.
    mutating func expire(now: UInt64) -> (expired: [InFlight], nextDeadline: UInt64) {
        var expired: [InFlight] = []
        var next = UInt64.max
        for index in head..<storage.count {
            if case .discard = storage[index].sink { continue }
            if storage[index].deadline <= now {
                expired.append(storage[index])
                storage[index].sink = .discard
            } else {
                next = min(next, storage[index].deadline)
            }
        }
        return (expired, next)
    }
}
