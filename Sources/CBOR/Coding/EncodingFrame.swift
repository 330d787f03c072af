/// Names a frame of a sink; the serial number tells it from a later one in the same place.
struct FrameReference {
    let index: Int32
    let serial: UInt32
}

/// A value whose `encode(to:)` is running.
struct EncodingFrame {
    enum Shape {
        case unset, single, array, map
    }

    let serial: UInt32
    let type: Any.Type
    /// Where the value's first byte is.
    let start: Int
    let entryBase: Int
    let spliceBase: Int
    /// Arrays and maps around the value.
    let depth: Int
    var shape = Shape.unset
    /// Items of an array, pairs of a map.
    var count = 0
    var isSorted = true
    /// Set where the items of an array have no order of their own.
    var itemsPerEntry: Int?
    var failure: CBORError?

    init(serial: UInt32, type: Any.Type, start: Int, entryBase: Int, spliceBase: Int, depth: Int) {
        self.serial = serial
        self.type = type
        self.start = start
        self.entryBase = entryBase
        self.spliceBase = spliceBase
        self.depth = depth
    }
}

extension EncodingSink {
    /// Begins a pair of a map: writes its key. The value has to follow.
    @inline(__always)
    func beginPair(_ frame: FrameReference, writeKey: (inout CBORWriter) -> Void) throws(CBORError) {
        try check(frame, is: .map)
        let index = Int(frame.index)
        let start = writer.count
        writeKey(&writer)
        if frames[index].count > 0 && frames[index].isSorted {
            let previous = entryStarts[entryStarts.count - 1]
            frames[index].isSorted = EntrySorter.isAscending(in: writer.storage, previous, start)
        }
        frames[index].count += 1
        entryStarts.append(start)
    }

    /// Takes back the key of a pair whose value failed.
    func undoPair(_ frame: FrameReference) {
        guard let start = entryStarts.popLast() else { return }
        writer.storage.removeSubrange(start...)
        frames[Int(frame.index)].count -= 1
    }

    /// Begins an item of an array. The item has to follow.
    @inline(__always)
    func beginItem(_ frame: FrameReference) throws(CBORError) {
        try check(frame, is: .array)
        let index = Int(frame.index)
        frames[index].count += 1
        if frames[index].itemsPerEntry != nil { entryStarts.append(writer.count) }
    }

    func undoItem(_ frame: FrameReference) {
        let index = Int(frame.index)
        frames[index].count -= 1
        if frames[index].itemsPerEntry != nil { entryStarts.removeLast() }
    }

    /// Finds out whether the array is a set or a dictionary, whose items are to be sorted.
    func noteItemsPerEntry(_ frame: FrameReference) {
        let index = Int(frame.index)
        guard isCurrent(frame), frames[index].count == 0,
            let type = frames[index].type as? any UnorderedCollection.Type
        else { return }
        frames[index].itemsPerEntry = type.itemsPerEntry
    }

    /// Items of an array so far; none once it is complete.
    func count(_ frame: FrameReference) -> Int {
        isOpen(frame) ? frames[Int(frame.index)].count : 0
    }

    /// Takes the frame for one value. The value has to follow.
    @inline(__always)
    func beginSingle(_ frame: FrameReference) throws(CBORError) {
        try check(frame, is: .unset)
        frames[Int(frame.index)].shape = .single
    }
}
