/// A long string of a server that goes from the socket straight into the array that the caller gets.
struct LongString {
    /// A string that lacks less is left to the parser: two copies of that cost less than what they save.
    static let missingSizeBytesMin = 64 << 10
    static let lineEnd = [UInt8(ascii: "\r"), UInt8(ascii: "\n")]

    /// The string as far as it has come, and then its line end.
    private var bytes: [UInt8] = []
    private let sizeBytes: Int

    /// - Parameter start: what came together with the string's length.
    init(sizeBytes: Int, start: UnsafeRawBufferPointer) {
        self.sizeBytes = sizeBytes
        // One allocation for all of it. The system gives the pages as they are written, so that a server that only
        // announces much costs nothing but addresses.
        bytes.reserveCapacity(sizeBytes + Self.lineEnd.count)
        unsafe bytes.append(contentsOf: start)
    }

    var isComplete: Bool { bytes.count == sizeBytes + Self.lineEnd.count }

    /// Lets `receive` write what comes next. Returns what it did and whether it filled the room it was given.
    mutating func fill(
        countMax: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Transfer
    ) -> (Transfer, isFull: Bool) {
        let room = min(sizeBytes + Self.lineEnd.count - bytes.count, countMax)
        var transfer = Transfer.wouldBlock
        var count = 0
        bytes.append(addingCapacity: room) { span in
            unsafe span.withUnsafeMutableBufferPointer { buffer, initialized in
                unsafe transfer = receive(UnsafeMutableRawBufferPointer(buffer.extracting(..<room)))
                if case .moved(let moved) = transfer { count = moved }
                initialized = count
            }
        }
        return (transfer, count == room)
    }

    /// The string, which leaves; `nil` if something else stands where its line should end.
    mutating func take() -> [UInt8]? {
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        guard taken.suffix(Self.lineEnd.count).elementsEqual(Self.lineEnd) else { return nil }
        taken.removeLast(Self.lineEnd.count)
        return taken
    }
}
