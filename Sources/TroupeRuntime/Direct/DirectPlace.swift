import TroupeCore

#if canImport(Glibc)
    import Glibc
#endif

/// A directory of its own for a worker's socket, which nobody else may enter.
struct DirectPlace: Sendable {
    private static let prefix = "troupe-direct-"
    private static let socketName = "s"
    /// Names that are looked at for what dead workers left, and the age below which a directory may still be in the making.
    private static let sweepMax = 1000
    private static let sweepAgeSeconds = 60

    private let directory: String
    var path: String { "\(directory)/\(Self.socketName)" }

    /// The first place that has room for a path which fits into a socket's address: the session's directory, that of temporary
    /// files, `/tmp`. Nil if there is none.
    static func make() -> DirectPlace? {
        let variables = ["XDG_RUNTIME_DIR", "TMPDIR"].compactMap { (name: String) -> String? in
            getenv(name).map { String(cString: $0) }
        }
        for base in variables + ["/tmp"] where base.hasPrefix("/") {
            var template = Array("\(base)/\(prefix)XXXXXX".utf8CString)
            guard template.count + socketName.utf8.count + 1 <= DirectSocket.pathSizeBytesMax else { continue }
            sweep(base)
            // mkdtemp(3) makes it accessible to its owner only.
            guard mkdtemp(&template) != nil else { continue }
            let directory = template.dropLast().map { UInt8(bitPattern: $0) }
            return DirectPlace(directory: String(decoding: directory, as: UTF8.self))
        }
        return nil
    }

    private init(directory: String) { self.directory = directory }

    func remove() {
        unlink(path)
        rmdir(directory)
    }

    /// Removes what workers left that were killed: directories of this user whose socket nobody listens at.
    private static func sweep(_ base: String) {
        guard let entries = opendir(base) else { return }
        defer { closedir(entries) }
        var count = 0
        while count < sweepMax, let entry = readdir(entries) {
            count += 1
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasPrefix(prefix) else { continue }
            let place = DirectPlace(directory: "\(base)/\(name)")
            var status = stat()
            guard lstat(place.directory, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
                status.st_uid == geteuid(), time(nil) - status.st_mtim.tv_sec > sweepAgeSeconds,
                DirectSocket.connect(to: place.path) == nil
            else { continue }
            place.remove()
        }
    }
}
