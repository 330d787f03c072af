/// Bytes on their way to a server: small things are gathered in one buffer, large payloads are kept by reference.
struct OutputBuffer: Sendable {
    /// From this size on a payload is worth a system call of its own rather than a copy.
    static let referencedSizeBytesMin = 16 * 1024
    /// An empty gathering buffer larger than this is given back.
    static let keptCapacityBytesMax = 1024 * 1024

    private var closed: [ArraySlice<UInt8>] = []
    private var tail: [UInt8] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    /// Appends a command in the form the server reads: an array of bulk strings.
    mutating func append(command arguments: [RedisArgument]) {
        append(marker: UInt8(ascii: "*"), arguments.count)
        for argument in arguments { append(argument) }
    }

    /// Hands out all chunks in order and leaves the buffer empty.
    mutating func takeChunks() -> [ArraySlice<UInt8>] {
        closeTail()
        count = 0
        defer { closed = [] }
        return closed
    }

    /// Lets `write` take bytes from the front until it takes less than it was offered. `write` gets a chunk and whether
    /// more chunks follow, and says how many bytes it took.
    mutating func drain<Failure>(
        _ write: (ArraySlice<UInt8>, _ moreFollow: Bool) throws(Failure) -> Int
    ) throws(Failure) {
        var done = 0
        defer { if done > 0 { closed.removeFirst(done) } }
        while done < closed.count {
            let size = closed[done].count
            let taken = try write(closed[done], done + 1 < closed.count || !tail.isEmpty)
            count -= taken
            guard taken == size else {
                closed[done].removeFirst(taken)
                return
            }
            done += 1
        }
        try drainTail(write)
    }

    private mutating func drainTail<Failure>(
        _ write: (ArraySlice<UInt8>, _ moreFollow: Bool) throws(Failure) -> Int
    ) throws(Failure) {
        guard !tail.isEmpty else { return }
        let taken = try write(tail[...], false)
        count -= taken
        if taken == tail.count {
            tail.removeAll(keepingCapacity: tail.capacity <= Self.keptCapacityBytesMax)
        } else if taken > 0 {
            // Set aside, so that what is appended meanwhile does not copy the rest again and again.
            closed.append(tail[taken...])
            tail = []
        }
    }

    private mutating func append(_ argument: RedisArgument) {
        switch argument {
        case .bytes(let bytes): append(payload: bytes[...])
        case .slice(let bytes): append(payload: bytes)
        case .string(let string): append(text: string)
        case .literal(let literal): append(text: literal.description)
        case .integer(let integer): append(integer)
        }
        append(lineEnd: ())
    }

    private mutating func append(payload: ArraySlice<UInt8>) {
        append(marker: UInt8(ascii: "$"), payload.count)
        count += payload.count
        if payload.count >= Self.referencedSizeBytesMin {
            closeTail()
            closed.append(payload)
        } else {
            tail.append(contentsOf: payload)
        }
    }

    private mutating func append(text: String) {
        let utf8 = text.utf8
        append(marker: UInt8(ascii: "$"), utf8.count)
        tail.append(contentsOf: utf8)
        count += utf8.count
    }

    private mutating func append(_ integer: Int) {
        guard integer < 0 else {
            append(marker: UInt8(ascii: "$"), Self.digitCount(integer))
            return append(digits: integer)
        }
        append(text: String(integer))
    }

    private mutating func append(marker: UInt8, _ number: Int) {
        tail.append(marker)
        count += 1
        append(digits: number)
        append(lineEnd: ())
    }

    private mutating func append(lineEnd: Void) {
        tail.append(UInt8(ascii: "\r"))
        tail.append(UInt8(ascii: "\n"))
        count += 2
    }

    private mutating func append(digits number: Int) {
        var divisor = 1
        for _ in 1..<Self.digitCount(number) { divisor *= 10 }
        while divisor > 0 {
            tail.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
            count += 1
        }
    }

    private static func digitCount(_ number: Int) -> Int {
        var count = 1
        var rest = number / 10
        while rest > 0 {
            count += 1
            rest /= 10
        }
        return count
    }

    private mutating func closeTail() {
        guard !tail.isEmpty else { return }
        closed.append(tail[...])
        tail = []
    }
}
