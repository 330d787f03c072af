#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// An open file: the only place where the file connector makes system calls on descriptors.
final class PosixFile: Sendable {
    private let descriptor: CInt
    let path: String

    private init(descriptor: CInt, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Opens a regular file, never through a symbolic link; `nil` if there is none.
    static func open(_ path: String, writable: Bool = false) throws(StoreError) -> PosixFile? {
        // Non-blocking, or a pipe that somebody left in the directory would hold us for ever.
        let flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        guard let descriptor = retryingOpen(path, flags, 0) else {
            if errno == ENOENT { return nil }
            throw failure("could not open", path)
        }
        let file = PosixFile(descriptor: descriptor, path: path)
        guard try file.status().isRegular else {
            throw StoreError(.foreignData, "\(path) is no regular file; it was left as it is")
        }
        return file
    }

    /// Creates a file that only its owner may read; throws if there is one.
    static func create(_ path: String) throws(StoreError) -> PosixFile {
        guard let descriptor = retryingOpen(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600) else {
            throw failure("could not create", path)
        }
        return PosixFile(descriptor: descriptor, path: path)
    }

    private static func retryingOpen(_ path: String, _ flags: CInt, _ mode: mode_t) -> CInt? {
        while true {
            #if canImport(Glibc)
                let descriptor = Glibc.open(path, flags, mode)
            #elseif canImport(Musl)
                let descriptor = Musl.open(path, flags, mode)
            #else
                let descriptor = Darwin.open(path, flags, mode)
            #endif
            if descriptor >= 0 { return descriptor }
            if errno != EINTR { return nil }
        }
    }

    struct Status {
        let isRegular: Bool
        let sizeBytes: Int
        /// Nanoseconds since 1970.
        let modifiedAt: Int64
    }

    func status() throws(StoreError) -> Status {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure("could not look at", path) }
        return Status(
            isRegular: status.st_mode & S_IFMT == S_IFREG, sizeBytes: Int(status.st_size),
            modifiedAt: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
    }

    /// Up to `count` bytes at `offset`; fewer only if the file ends there.
    func read(at offset: Int, count: Int) throws(StoreError) -> [UInt8] {
        var failure: StoreError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(StoreError) {
                filled = try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer.extracting(..<count)))
            } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Fills the buffer with what lies at `offset` and returns how many bytes there were: less than its size only if the
    /// file ends before.
    func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(StoreError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let target = buffer.baseAddress?.advanced(by: filled)
            let result = pread(descriptor, target, buffer.count - filled, off_t(offset + filled))
            if result < 0 && errno == EINTR { continue }
            guard result >= 0 else { throw Self.failure("could not read", path) }
            if result == 0 { break }
            filled += result
        }
        return filled
    }

    func write(_ bytes: ArraySlice<UInt8>, at offset: Int) throws(StoreError) {
        var written = 0
        while written < bytes.count {
            let result = bytes.withUnsafeBytes { buffer in
                pwrite(
                    descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written,
                    off_t(offset + written))
            }
            if result < 0 && errno == EINTR { continue }
            guard result > 0 else { throw Self.failure("could not write", path) }
            written += result
        }
    }

    func synchronize() throws(StoreError) {
        guard fsync(descriptor) == 0 else { throw Self.failure("could not sync", path) }
    }

    /// The current `errno` in words.
    static func failure(_ what: String, _ path: String) -> StoreError {
        let number = errno
        let reason = String(cString: strerror(number))
        switch number {
        case ENOSPC, EDQUOT:
            return StoreError(.full, "\(what) \(path): \(reason); make room or let objects expire sooner")
        case EACCES, EPERM, EROFS:
            return StoreError(.unauthorized, "\(what) \(path): \(reason); check who owns the directory")
        case ELOOP:
            return StoreError(.foreignData, "\(what) \(path): it is a symbolic link, which is not followed")
        default:
            return StoreError(.inputOutput, "\(what) \(path): \(reason)")
        }
    }
}
