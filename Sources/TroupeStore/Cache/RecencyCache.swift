/// A dictionary with a bound on bytes and entries that forgets what was used longest ago.
struct RecencyCache<Value> {
    private struct Node {
        var key: String
        var value: Value?
        var sizeBytes: Int
        var newer: Int
        var older: Int
    }

    let sizeBytesMax: Int
    let countMax: Int
    private(set) var sizeBytes = 0
    private var nodes: [Node] = []
    private var free: [Int] = []
    private var slots: [String: Int] = [:]
    private var newest = -1
    private var oldest = -1

    init(sizeBytesMax: Int, countMax: Int) {
        precondition(sizeBytesMax >= 0 && countMax >= 0, "a bound is not negative")
        self.sizeBytesMax = sizeBytesMax
        self.countMax = countMax
    }

    var count: Int { slots.count }

    /// The entry, which from now on is the newest.
    mutating func value(_ key: String) -> Value? {
        guard let slot = slots[key] else { return nil }
        if slot != newest {
            unlink(slot)
            linkAsNewest(slot)
        }
        return nodes[slot].value
    }

    /// Keeps the value, dropping the oldest entries for it; a value over the bound is not kept.
    mutating func insert(_ key: String, _ value: Value, sizeBytes size: Int) {
        remove(key)
        guard size <= sizeBytesMax && countMax > 0 else { return }
        while sizeBytes + size > sizeBytesMax || slots.count >= countMax { remove(nodes[oldest].key) }
        let node = Node(key: key, value: value, sizeBytes: size, newer: -1, older: -1)
        let slot: Int
        if let reused = free.popLast() {
            nodes[reused] = node
            slot = reused
        } else {
            nodes.append(node)
            slot = nodes.count - 1
        }
        slots[key] = slot
        sizeBytes += size
        linkAsNewest(slot)
    }

    mutating func remove(_ key: String) {
        guard let slot = slots.removeValue(forKey: key) else { return }
        unlink(slot)
        sizeBytes -= nodes[slot].sizeBytes
        nodes[slot].value = nil
        free.append(slot)
    }

    private mutating func linkAsNewest(_ slot: Int) {
        nodes[slot].newer = -1
        nodes[slot].older = newest
        if newest >= 0 { nodes[newest].newer = slot }
        newest = slot
        if oldest < 0 { oldest = slot }
    }

    private mutating func unlink(_ slot: Int) {
        let (newer, older) = (nodes[slot].newer, nodes[slot].older)
        if newer >= 0 { nodes[newer].older = older } else { newest = older }
        if older >= 0 { nodes[older].newer = newer } else { oldest = newer }
    }
}
