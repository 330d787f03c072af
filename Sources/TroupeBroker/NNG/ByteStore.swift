import Glibc

/// Owns a piece of memory that stays where it is while nng reads into it or sends from it: bytes are added at its end and
/// taken from its front.
@safe struct ByteStore: ~Copyable {
    /// What an empty store shrinks back to.
    static let capacityKept = 64 << 10

    private var memory: UnsafeMutableRawPointer
    private(set) var capacity: Int
    /// Where the bytes that are left begin, and where they end.
    private var start = 0
    private var end = 0

    init() {
        capacity = ByteStore.capacityKept
        unsafe memory = malloc(capacity)!
    }

    deinit {
        unsafe free(memory)
    }

    var count: Int { end - start }
    var isEmpty: Bool { start == end }

    /// The bytes that are left. Not to be kept beyond the next change.
    var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: memory + start, count: count)
    }

    /// The free memory behind the bytes. Not to be kept beyond the next change.
    var tail: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: memory + end, count: capacity - end)
    }

    /// Bytes that fit behind those that are there.
    var room: Int { capacity - end }

    /// Counts bytes that were written to the tail.
    mutating func filled(_ count: Int) {
        precondition(end + count <= capacity, "more bytes than there was room for")
        end += count
    }

    /// Drops bytes from the front.
    mutating func consumed(_ count: Int) {
        precondition(count <= self.count, "more bytes than there are")
        start += count
        guard start == end else { return }
        (start, end) = (0, 0)
        guard capacity > ByteStore.capacityKept else { return }
        capacity = ByteStore.capacityKept
        unsafe free(memory)
        unsafe memory = malloc(capacity)!
    }

    /// Makes the tail at least so long. Grows by doubling, as bytes come, whatever their sender announces.
    mutating func reserve(_ room: Int) {
        if start > 0 {
            unsafe memmove(memory, memory + start, count)
            (start, end) = (0, count)
        }
        guard self.room < room else { return }
        capacity = max(2 * capacity, end + room)
        unsafe memory = realloc(memory, capacity)!
    }

    mutating func append(_ array: borrowing [UInt8]) {
        if room < array.count { reserve(array.count) }
        unsafe tail.copyBytes(from: array)
        end += array.count
    }

    mutating func append(_ byte: UInt8) {
        if room == 0 { reserve(1) }
        unsafe tail[0] = byte
        end += 1
    }
}
