package import SystemPackage

/// Where, and how many, copies of other sites' objects an endpoint keeps.
package struct ObjectCopies: Sendable {
    /// The endpoint's own: what is in it and is no copy is deleted.
    package var directory: FilePath
    /// The bound of all copies together, those under way included. An object over it is read without a copy.
    package var sizeBytesMax = 8 << 30
    /// The bound of their number.
    package var countMax = 256
    /// How long a copy stays that nobody reads; zero keeps none that is not being read.
    package var expiresAfter = Duration.seconds(24 * 3600)

    package init(directory: FilePath) { self.directory = directory }
}
