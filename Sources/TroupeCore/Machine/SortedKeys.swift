/// A set of keys in UTF-8 byte order, in chunks, so that inserting among a million stays cheap.
struct SortedKeys: Sendable {
    private static let chunkMax = 512
    private var chunks: [[String]] = []
    private(set) var count = 0

    /// The chunk that holds, or would hold, the key.
    private func chunkIndex(of key: String) -> Int {
        var low = 0
        var high = chunks.count
        while low < high {
            let middle = (low + high) / 2
            if let last = chunks[middle].last, last.precedesInBytes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func position(of key: String, in chunk: [String]) -> Int {
        var low = 0
        var high = chunk.count
        while low < high {
            let middle = (low + high) / 2
            if chunk[middle].precedesInBytes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func insert(_ key: String) {
        if chunks.isEmpty { chunks.append([]) }
        let index = min(chunkIndex(of: key), chunks.count - 1)
        let position = Self.position(of: key, in: chunks[index])
        if position < chunks[index].count, chunks[index][position] == key { return }
        chunks[index].insert(key, at: position)
        count += 1
        guard chunks[index].count > Self.chunkMax else { return }
        let half = chunks[index].count / 2
        let upper = Array(chunks[index][half...])
        chunks[index].removeSubrange(half...)
        chunks.insert(upper, at: index + 1)
    }

    /// Whether the key was there.
    @discardableResult
    mutating func remove(_ key: String) -> Bool {
        let index = chunkIndex(of: key)
        guard index < chunks.count else { return false }
        let position = Self.position(of: key, in: chunks[index])
        guard position < chunks[index].count, chunks[index][position] == key else { return false }
        chunks[index].remove(at: position)
        count -= 1
        if chunks[index].isEmpty { chunks.remove(at: index) }
        return true
    }

    func contains(_ key: String) -> Bool {
        let index = chunkIndex(of: key)
        guard index < chunks.count else { return false }
        let position = Self.position(of: key, in: chunks[index])
        return position < chunks[index].count && chunks[index][position] == key
    }

    /// Up to `limit` keys above `after`.
    func page(after: String?, limit: Int) -> [String] {
        var result: [String] = []
        var index = after.map { chunkIndex(of: $0) } ?? 0
        var position = 0
        if let after, index < chunks.count {
            position = Self.position(of: after, in: chunks[index])
            if position < chunks[index].count, chunks[index][position] == after { position += 1 }
        }
        while index < chunks.count, result.count < limit {
            let chunk = chunks[index]
            let end = min(chunk.count, position + limit - result.count)
            if position < end { result.append(contentsOf: chunk[position..<end]) }
            index += 1
            position = 0
        }
        return result
    }
}
