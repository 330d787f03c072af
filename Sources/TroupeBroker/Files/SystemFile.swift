import Glibc

/// Owns an open file or directory of the operating system.
struct SystemFile: ~Copyable, Sendable {
    let descriptor: Int32
    let path: String

    /// Opens with the flags of `open(2)`; never passed on to child processes.
    init(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(BrokerError) {
        descriptor = unsafe open(path, flags | O_CLOEXEC, mode)
        self.path = path
        guard descriptor >= 0 else { throw SystemFailure(errno).at(path, "open") }
    }

    deinit {
        close(descriptor)
    }

    /// Type, owner, mode and size of the open file.
    var status: stat {
        var status = stat()
        let code = unsafe fstat(descriptor, &status)
        precondition(code == 0, "fstat of an open file failed")
        return status
    }

    /// Tries to become the only process that holds the file's lock, which ends with the process.
    /// - Returns: Whether it is ours; false when another process holds it.
    func tryLock() throws(BrokerError) -> Bool {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let failure = SystemFailure(errno)
            if failure.code == EWOULDBLOCK { return false }
            if failure.code != EINTR { throw failure.at(path, "lock") }
        }
        return true
    }

    /// Reads at most `count` bytes from `offset` on.
    func read(upTo count: Int, from offset: Int = 0) throws(BrokerError) -> [UInt8] {
        var failure: SystemFailure?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = unsafe pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset + filled))
                if got > 0 {
                    filled += got
                } else if got == 0 {
                    return
                } else if errno != EINTR {
                    failure = SystemFailure(errno)
                    return
                }
            }
        }
        if let failure { throw failure.at(path, "read") }
        return bytes
    }

    /// Writes all bytes at the current place.
    func write(_ bytes: [UInt8]) throws(BrokerError) {
        var done = 0
        while done < bytes.count {
            let wrote = unsafe bytes[done...].withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress!, $0.count)
            }
            if wrote >= 0 { done += wrote } else if errno != EINTR { throw SystemFailure(errno).at(path, "write") }
        }
    }

    /// Waits until what was written is on the disk.
    func sync() throws(BrokerError) {
        guard fdatasync(descriptor) == 0 else { throw SystemFailure(errno).at(path, "sync") }
    }
}

/// An `errno` and what it means to us.
struct SystemFailure {
    let code: Int32

    init(_ code: Int32) {
        self.code = code
    }

    var words: String { unsafe String(cString: strerror(code)) }

    func at(_ path: String, _ verb: String) -> BrokerError {
        switch code {
        case EACCES, EPERM, EROFS:
            BrokerError(
                .permission,
                "Not allowed to \(verb) \(path): \(words). Check its owner, its mode and those of its directory.")
        case ENOSPC, EDQUOT:
            BrokerError(
                .diskFull,
                "Cannot \(verb) \(path): \(words). Free some space; a running broker goes on by itself, another has to be started again."
            )
        default:
            BrokerError(.inputOutput, "Cannot \(verb) \(path): \(words).")
        }
    }
}
