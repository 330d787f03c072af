#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Directories and names, as the file connector needs them.
enum PosixDirectory {
    /// Makes the directory and those above it, readable by the owner only; one that exists is left as it is.
    static func create(_ path: String) throws(StoreError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let parent = parent(of: path) else {
            throw PosixFile.failure("could not create the directory", path)
        }
        try create(parent)
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw PosixFile.failure("could not create the directory", path)
        }
    }

    /// The absolute path without links and dots; throws unless it is a directory.
    static func canonical(_ path: String) throws(StoreError) -> String {
        guard let resolved = realpath(path, nil) else { throw PosixFile.failure("could not find the directory", path) }
        defer { free(resolved) }
        var status = stat()
        guard stat(resolved, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw StoreError(.invalidArgument, "\(path) is no directory")
        }
        return String(cString: resolved)
    }

    /// False if there is nothing of this name.
    static func remove(_ path: String) throws(StoreError) -> Bool {
        if unlink(path) == 0 { return true }
        if errno == ENOENT { return false }
        throw PosixFile.failure("could not delete", path)
    }

    /// Replaces `target` atomically; false if the directory of either is missing.
    static func rename(_ source: String, to target: String) throws(StoreError) -> Bool {
        #if canImport(Glibc)
            let result = Glibc.rename(source, target)
        #elseif canImport(Musl)
            let result = Musl.rename(source, target)
        #else
            let result = Darwin.rename(source, target)
        #endif
        if result == 0 { return true }
        if errno == ENOENT { return false }
        throw PosixFile.failure("could not rename to", target)
    }

    /// Gives the file a second name unless that name is taken.
    static func link(_ source: String, to target: String) {
        #if canImport(Glibc)
            _ = Glibc.link(source, target)
        #elseif canImport(Musl)
            _ = Musl.link(source, target)
        #else
            _ = Darwin.link(source, target)
        #endif
    }

    /// Makes a rename in the directory survive a power cut.
    static func synchronize(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw PosixFile.failure("could not open the directory", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw PosixFile.failure("could not sync the directory", path) }
    }

    /// Up to `count` names after the first `skip`; empty if there is no such directory.
    static func names(in path: String, skip: Int, count: Int) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        var position = 0
        while names.count < count, let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            position += 1
            if position > skip { names.append(name) }
        }
        return names
    }

    private static func parent(of path: String) -> String? {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return nil }
        return String(path[..<slash])
    }
}
