internal import CTroupeMemory

/// What a program may set for the memory of its whole process. The library sets nothing of the kind by itself; the `troupe`
/// command and every ``WorkerCommand`` do.
public enum ProgramMemory {
    /// The largest that glibc takes.
    private static let mappedSizeBytesMin = 32 << 20
    private static let keptSizeBytesMax = 64 << 20

    /// Lets the allocator keep the memory of freed arrays of up to 32 MiB for the next ones, up to 64 MiB at the end of each
    /// of its heaps, of which there are at most eight for each processor. Call it when the program starts.
    ///
    /// An argument or result of a megabyte is an array on each side, and else each gets its pages from the system, and pays
    /// for each of them when it is first written.
    ///
    /// - Returns: false where the C library has no such settings; nothing is changed then.
    @discardableResult
    public static func keepFreedArrays() -> Bool {
        troupe_set_allocator(Int32(mappedSizeBytesMin), Int32(keptSizeBytesMax))
    }
}
