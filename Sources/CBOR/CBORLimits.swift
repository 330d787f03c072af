/// What a decoder accepts at most, so that input from elsewhere cannot exhaust the process.
public struct CBORLimits: Sendable, Hashable {
    /// Arrays and maps inside each other. The Swift types that decode them may recurse four times as deep.
    public var depthMax: Int
    /// Bytes of the whole input; never more than 4 GiB − 1.
    public var sizeBytesMax: Int
    /// Items of the whole input, each array, map, key, value and tag counted; a typed array is two.
    public var itemCountMax: Int

    /// The limits used when none are given: 64 levels, 1 GiB, 64 Mi items.
    public static let standard = CBORLimits()

    public init(depthMax: Int = 64, sizeBytesMax: Int = 1 << 30, itemCountMax: Int = 1 << 26) {
        self.depthMax = depthMax
        self.sizeBytesMax = min(sizeBytesMax, Int(UInt32.max))
        self.itemCountMax = itemCountMax
    }
}
