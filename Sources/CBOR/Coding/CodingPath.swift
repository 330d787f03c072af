/// One step from a container to what it holds; a list that grows at its end and shares its beginning.
final class PathNode {
    let parent: PathNode?
    let key: any CodingKey

    init(_ key: any CodingKey, in parent: PathNode?) {
        self.key = key
        self.parent = parent
    }

    var keys: [any CodingKey] {
        var keys: [any CodingKey] = []
        var node: PathNode? = self
        while let current = node {
            keys.append(current.key)
            node = current.parent
        }
        return keys.reversed()
    }
}

extension PathNode? {
    var keys: [any CodingKey] { self?.keys ?? [] }

    func appending(_ key: any CodingKey) -> PathNode {
        PathNode(key, in: self)
    }

    /// The path as errors show it: names and numbers.
    var names: [String] { keys.map(\.stringValue) }
}

/// The keys that Codable needs where the data has none.
enum PlaceKey: CodingKey {
    case index(Int)
    case name(String)

    /// The key of a superclass's values where a type gives none.
    static let superclass = PlaceKey.name("super")

    init?(stringValue: String) {
        self = .name(stringValue)
    }

    init?(intValue: Int) {
        self = .index(intValue)
    }

    var stringValue: String {
        switch self {
        case .index(let index): return "\(index)"
        case .name(let name): return name
        }
    }

    var intValue: Int? {
        switch self {
        case .index(let index): return index
        case .name: return nil
        }
    }
}
