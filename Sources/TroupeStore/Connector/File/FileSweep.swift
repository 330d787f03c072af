import Synchronization

/// Where the next sweep goes on.
struct SweepPosition: Sendable {
    var bucket = 0
    /// Entries of the bucket that were looked at and kept.
    var kept = 0
}

extension FileConnector {
    /// What one sweep did.
    public struct SweepReport: Sendable, Hashable {
        public var visitedCount = 0
        public var removedCount = 0
        /// True if the sweep came to the end of the directory; the next one starts anew.
        public var isComplete = false
    }

    /// Removes files of expired objects and leftovers of writers that died, looking at no more than `visitMax` files;
    /// the next sweep goes on where this one stopped. What is not ours is left as it is. Any process may sweep at any
    /// time.
    public func sweep(visitMax: Int = 1000) throws(StoreError) -> SweepReport {
        precondition(visitMax > 0, "a sweep looks at one file at least")
        var position = sweepPosition.withLock { $0 }
        var report = SweepReport()
        while report.visitedCount < visitMax && !report.isComplete {
            let wanted = visitMax - report.visitedCount
            let names = PosixDirectory.names(in: bucket(position.bucket), skip: position.kept, count: wanted)
            for name in names {
                let removed = try sweep(name, in: bucket(position.bucket))
                report.removedCount += removed ? 1 : 0
                position.kept += removed ? 0 : 1
            }
            report.visitedCount += names.count
            if names.count < wanted {
                position = SweepPosition(bucket: position.bucket + 1)
                report.isComplete = position.bucket == Self.bucketCount
            }
        }
        if report.isComplete { position = SweepPosition() }
        sweepPosition.withLock { [position] in $0 = position }
        return report
    }

    private func sweep(_ name: String, in bucket: String) throws(StoreError) -> Bool {
        let path = "\(bucket)/\(name)"
        if name.hasPrefix(Self.temporaryPrefix) { return try sweepTemporary(path) }
        guard name.hasSuffix(Self.objectSuffix), isExpired(path) else { return false }
        // Another process may put the same key again at this moment: take the file away by name first, look at what was
        // taken, and give it back if it is a new one.
        let taken = "\(bucket)/\(Self.temporaryPrefix)\(ObjectName.random())"
        guard try PosixDirectory.rename(path, to: taken) else { return false }
        let wasExpired = isExpired(taken)
        if !wasExpired { PosixDirectory.link(taken, to: path) }
        _ = try PosixDirectory.remove(taken)
        return wasExpired
    }

    private func isExpired(_ path: String) -> Bool {
        guard let file = try? PosixFile.open(path), let header = try? ObjectFileHeader(of: file) else { return false }
        return header.isExpired(at: clock.now())
    }

    /// A temporary file that nobody has written to for an hour belongs to no living writer.
    private func sweepTemporary(_ path: String) throws(StoreError) -> Bool {
        guard let file = try? PosixFile.open(path), let status = try? file.status() else { return false }
        let hour: Int64 = 3600 * 1_000_000_000
        guard status.modifiedAt + hour < clock.now() else { return false }
        return try PosixDirectory.remove(path)
    }
}
