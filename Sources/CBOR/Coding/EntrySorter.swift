/// Brings the entries of a map, written one after the other, into the order of their encoded keys (RFC 8949 §4.2.1).
struct EntrySorter {
    private struct Entry {
        let start, keyEnd, end: Int
    }

    // Kept from map to map to save allocations.
    private var entries: [Entry] = []
    private var scratch: [UInt8] = []

    /// Whether the key at `next`, the last bytes written, comes after the one at `previous`. Encoded keys are never
    /// prefixes of each other, so comparing as many bytes as the later one has decides.
    static func isAscending(in bytes: [UInt8], _ previous: Int, _ next: Int) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            var left = previous
            var right = next
            while right < bytes.count && left < next {
                if bytes[left] != bytes[right] { return bytes[left] < bytes[right] }
                left += 1
                right += 1
            }
            return false
        }
    }

    /// Sorts the pairs from the first start to the end of the buffer. Of pairs with one key the last stays, as with the
    /// standard library's other coders. Returns how many are left.
    mutating func sortPairs(in writer: inout CBORWriter, starts: ArraySlice<Int>) -> Int {
        entries.removeAll(keepingCapacity: true)
        for index in starts.indices {
            let end = index + 1 < starts.endIndex ? starts[index + 1] : writer.count
            let keyEnd = Self.keyEnd(in: writer.storage, at: starts[index])
            entries.append(Entry(start: starts[index], keyEnd: keyEnd, end: end))
        }
        sort(in: writer.storage)
        writer.storage.withUnsafeBufferPointer { bytes in
            var kept = 0
            for index in entries.indices {
                if kept > 0 && Self.compare(bytes, entries[kept - 1], entries[index]) == 0 { kept -= 1 }
                entries[kept] = entries[index]
                kept += 1
            }
            entries.removeSubrange(kept...)
        }
        rewrite(&writer, from: starts[starts.startIndex])
        return entries.count
    }

    /// Sorts the items of an array in groups, by the first of each.
    mutating func sortItems(in writer: inout CBORWriter, starts: ArraySlice<Int>, perEntry: Int) {
        entries.removeAll(keepingCapacity: true)
        for index in stride(from: starts.startIndex, to: starts.endIndex, by: perEntry) {
            let keyEnd = index + 1 < starts.endIndex ? starts[index + 1] : writer.count
            let end = index + perEntry < starts.endIndex ? starts[index + perEntry] : writer.count
            entries.append(Entry(start: starts[index], keyEnd: keyEnd, end: end))
        }
        sort(in: writer.storage)
        rewrite(&writer, from: starts[starts.startIndex])
    }

    private mutating func sort(in bytes: [UInt8]) {
        bytes.withUnsafeBufferPointer { bytes in
            entries.sort { left, right in
                let order = Self.compare(bytes, left, right)
                return order == 0 ? left.start < right.start : order < 0
            }
        }
    }

    private mutating func rewrite(_ writer: inout CBORWriter, from start: Int) {
        scratch.removeAll(keepingCapacity: true)
        for entry in entries { scratch.append(contentsOf: writer.storage[entry.start..<entry.end]) }
        writer.storage.removeSubrange(start...)
        writer.storage.append(contentsOf: scratch)
    }

    private static func compare(_ bytes: UnsafeBufferPointer<UInt8>, _ left: Entry, _ right: Entry) -> Int {
        let leftCount = left.keyEnd - left.start
        let rightCount = right.keyEnd - right.start
        for index in 0..<min(leftCount, rightCount) {
            let difference = Int(bytes[left.start + index]) - Int(bytes[right.start + index])
            if difference != 0 { return difference }
        }
        return leftCount - rightCount
    }

    /// Keys that we write are texts and integers.
    private static func keyEnd(in bytes: [UInt8], at start: Int) -> Int {
        let initial = bytes[start]
        let info = Int(initial & 0x1f)
        let headEnd = start + (info < 24 ? 1 : 1 + (1 << (info - 24)))
        guard initial >> 5 == 3 else { return headEnd }
        if info < 24 { return headEnd + info }
        return headEnd + bytes[start + 1..<headEnd].reduce(0) { $0 << 8 | Int($1) }
    }
}

extension CBORWriter {
    /// Puts the count into a head that was one byte so far.
    mutating func replaceHead(at start: Int, major: UInt8, count: Int) {
        if count < 24 {
            storage[start] = major | UInt8(count)
        } else {
            var head = CBORWriter()
            head.writeHead(major, UInt64(count))
            storage.replaceSubrange(start...start, with: head.storage)
        }
    }
}
