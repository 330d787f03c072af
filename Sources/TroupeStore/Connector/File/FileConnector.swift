import Synchronization

/// Objects as files in a directory, shared by all processes that see it.
///
/// A put writes a temporary file and renames it, so readers see a whole object or none. Files are readable by their
/// owner only. An object that has expired is invisible at once; its file goes when ``sweep(visitMax:)`` comes by.
public final class FileConnector: Connector, ExpiringConnector {
    /// How a directory is used.
    public struct Options: Sendable, Hashable {
        /// A larger object is refused.
        public var objectSizeBytesMax: Int
        /// Sync file and directory before a put returns, so that the object survives a power cut.
        public var syncsWrites: Bool
        /// Make the directory if it is missing.
        public var createsDirectory: Bool

        public init(objectSizeBytesMax: Int = 4 << 30, syncsWrites: Bool = false, createsDirectory: Bool = true) {
            self.objectSizeBytesMax = objectSizeBytesMax
            self.syncsWrites = syncsWrites
            self.createsDirectory = createsDirectory
        }
    }

    public let kind = "file"
    /// The directory's absolute path.
    public let address: String
    public let options: Options
    public var objectSizeBytesMax: Int { options.objectSizeBytesMax }

    let clock: WallClock
    let sweepPosition = Mutex(SweepPosition())
    private let lanes = BlockingLanes()

    /// Opens the directory. Throws if it is missing (and not to be made), no directory, or not ours to use.
    public convenience init(directory: String, options: Options = Options()) throws(StoreError) {
        try self.init(directory: directory, options: options, clock: .system)
    }

    package init(directory: String, options: Options, clock: WallClock) throws(StoreError) {
        guard !directory.isEmpty && !directory.utf8.contains(0) else {
            throw StoreError(.invalidArgument, "a file store needs a directory")
        }
        if options.createsDirectory { try PosixDirectory.create(directory) }
        address = try PosixDirectory.canonical(directory)
        self.options = options
        self.clock = clock
    }

    public func put(_ key: String, _ bytes: [UInt8], expiresAfter: Duration?) async throws(StoreError) {
        try ConnectorCheck.put(
            key, sizeBytes: bytes.count, expiresAfter: expiresAfter, objectSizeBytesMax: objectSizeBytesMax)
        let expiresAt = expiresAfter.map(clock.after) ?? 0
        let isSlow = options.syncsWrites || bytes.count > BlockingLanes.inlineSizeBytesMax
        try await lanes.run(key, elsewhere: isSlow) { [self] () throws(StoreError) in
            try write(key, bytes, expiresAt: expiresAt)
        }
    }

    public func get(_ key: String, range: Range<Int>?) async throws(StoreError) -> [UInt8]? {
        try ConnectorCheck.get(key, range: range)
        guard let (file, header) = try open(key) else { return nil }
        let wanted = (range ?? 0..<header.payloadSizeBytes).clamped(to: 0..<header.payloadSizeBytes)
        let isSlow = wanted.count > BlockingLanes.inlineSizeBytesMax
        return try await lanes.run(key, elsewhere: isSlow, mayBeLeft: true) { () throws(StoreError) in
            let payload = ObjectPayload(file: file)
            return wanted.count == header.payloadSizeBytes ? try payload.whole(header) : try payload.part(wanted)
        }
    }

    public func sizeBytes(_ key: String) async throws(StoreError) -> Int? {
        try ObjectName.validate(key: key)
        return try open(key)?.header.payloadSizeBytes
    }

    @discardableResult
    public func delete(_ key: String) async throws(StoreError) -> Bool {
        try ObjectName.validate(key: key)
        return try PosixDirectory.remove(path(of: key))
    }

    @discardableResult
    public func touch(_ key: String, expiresAfter: Duration?) async throws(StoreError) -> Bool {
        try ObjectName.validate(key: key)
        try ConnectorCheck.expiry(key, expiresAfter)
        guard let (file, _) = try open(key, writable: true) else { return false }
        let expiresAt = expiresAfter.map(clock.after) ?? 0
        try file.write(ObjectFileHeader.bytes(UInt64(bitPattern: expiresAt))[...], at: ObjectFileHeader.expiryOffset)
        if options.syncsWrites { try file.synchronize() }
        return true
    }
}

extension FileConnector {
    static let objectSuffix = ".object"
    static let temporaryPrefix = ".put-"
    static let bucketCount = 256

    /// Objects are spread over 256 directories, so that none grows without end and a sweep has places to pause.
    func bucket(_ number: Int) -> String {
        "\(address)/\(ObjectName.hexadecimal(UInt64(number)).suffix(2))"
    }

    private func bucket(of key: String) -> String {
        bucket(Int(Checksum.of(Array(key.utf8)) % UInt64(Self.bucketCount)))
    }

    func path(of key: String) -> String { "\(bucket(of: key))/\(key)\(Self.objectSuffix)" }

    /// The open file and its head; `nil` if there is no such object or its time has passed.
    private func open(
        _ key: String, writable: Bool = false
    ) throws(StoreError) -> (file: PosixFile, header: ObjectFileHeader)? {
        guard let file = try PosixFile.open(path(of: key), writable: writable) else { return nil }
        let header = try ObjectFileHeader(of: file)
        return header.isExpired(at: clock.now()) ? nil : (file, header)
    }

    private func write(_ key: String, _ bytes: [UInt8], expiresAt: Int64) throws(StoreError) {
        let bucket = bucket(of: key)
        let temporary = "\(bucket)/\(Self.temporaryPrefix)\(ObjectName.random())"
        let file: PosixFile
        do throws(StoreError) {
            file = try PosixFile.create(temporary)
        } catch let error where error.code == .inputOutput {
            try PosixDirectory.create(bucket)
            file = try PosixFile.create(temporary)
        }
        do throws(StoreError) {
            let checksum = try ObjectPayload(file: file).write(bytes)
            let header = ObjectFileHeader(
                expiresAt: expiresAt, payloadSizeBytes: bytes.count, checksum: checksum)
            try file.write(header.encoded[...], at: 0)
            if options.syncsWrites { try file.synchronize() }
            guard try PosixDirectory.rename(temporary, to: path(of: key)) else {
                throw StoreError(.inputOutput, "\(bucket) went away while object \(key) was written; put it again")
            }
            if options.syncsWrites { try PosixDirectory.synchronize(bucket) }
        } catch {
            _ = try? PosixDirectory.remove(temporary)
            throw error
        }
    }
}
