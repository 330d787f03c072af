import Glibc

/// The few things that the broker does to files and directories by name.
enum FileSystem {
    /// Makes the directory (and those above it) for its owner only, or checks that it is that.
    static func makePrivateDirectory(_ path: String) throws(BrokerError) {
        try makeDirectories(path)
        let directory = try SystemFile(path, O_RDONLY | O_DIRECTORY)
        let status = directory.status
        guard status.st_uid == geteuid() else {
            throw BrokerError(
                .permission, "\(path) belongs to user \(status.st_uid), not to us: choose a directory of our own.")
        }
        guard status.st_mode & 0o077 != 0 else { return }
        guard fchmod(directory.descriptor, 0o700) == 0 else { throw SystemFailure(errno).at(path, "make private") }
    }

    /// Makes them last: a directory whose name is lost in a crash takes all that is in it along.
    private static func makeDirectories(_ path: String) throws(BrokerError) {
        guard unsafe mkdir(path, 0o700) != 0 else { return try syncDirectory(of: path) }
        let failure = SystemFailure(errno)
        if failure.code == EEXIST { return }
        guard failure.code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw failure.at(path, "make")
        }
        try makeDirectories(String(path[..<slash]))
        guard unsafe mkdir(path, 0o700) == 0 || errno == EEXIST else { throw SystemFailure(errno).at(path, "make") }
        try syncDirectory(of: path)
    }

    /// Makes a new name last.
    static func syncDirectory(of path: String) throws(BrokerError) {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        try SystemFile(directory, O_RDONLY | O_DIRECTORY).sync()
    }

    /// The whole of a small file.
    static func read(_ path: String, bytesMax: Int = 1 << 20) throws(BrokerError) -> [UInt8] {
        let file = try SystemFile(path, O_RDONLY)
        let bytes = try file.read(upTo: bytesMax + 1)
        guard bytes.count <= bytesMax else {
            throw BrokerError(.inputOutput, "\(path) is over \(bytesMax) bytes; it is not what was meant.")
        }
        return bytes
    }

    /// Puts a small file in place in one step, for its owner only.
    static func replace(_ path: String, with bytes: [UInt8]) throws(BrokerError) {
        let fresh = "\(path).\(getpid())"
        do throws(BrokerError) {
            let file = try SystemFile(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW)
            try file.write(bytes)
            guard unsafe rename(fresh, path) == 0 else { throw SystemFailure(errno).at(path, "replace") }
        } catch {
            remove(fresh)
            throw error
        }
    }

    static func remove(_ path: String) {
        unsafe unlink(path)
    }

    static func exists(_ path: String) -> Bool {
        unsafe access(path, F_OK) == 0
    }

    /// Bytes of a file; nil when there is none.
    static func size(_ path: String) -> Int? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    /// Removes a socket that no process listens on any more; leaves anything that is not a socket.
    static func removeSocket(_ path: String) throws(BrokerError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw BrokerError(.addressInUse, "\(path) is not a socket, and a socket is to be made there: move it away.")
        }
        guard unsafe unlink(path) == 0 else { throw SystemFailure(errno).at(path, "remove the old socket") }
    }

    /// The path without symbolic links and relative parts, or as it is when it does not exist.
    static func canonical(_ path: String) -> String {
        guard let resolved = unsafe realpath(path, nil) else { return path }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
