import Crypto
import Glibc

/// The files of an `embedded:` exchange.
package struct EmbeddedPlace: Sendable, Hashable {
    /// The directory that the exchange is named by.
    package let directory: String
    /// Its journal.
    package var journalPath: String { directory + "/journal.sqlite" }
    /// Locked by the process that is the broker, for as long as it lives.
    var lockPath: String { directory + "/broker.lock" }
    /// Says where the broker listens.
    var noticePath: String { directory + "/broker.address" }

    /// - Parameter directory: As in the URL; nil is the user's own: `$XDG_STATE_HOME/troupe/embedded`, by default under
    ///   `~/.local/state`.
    package init(_ directory: String?, environment: (String) -> String? = FileSystem.environment) {
        let given = directory ?? EmbeddedPlace.standardDirectory(environment)
        let absolute = given.hasPrefix("/") ? given : FileSystem.canonical(".") + "/" + given
        self.directory = absolute.count > 1 && absolute.hasSuffix("/") ? String(absolute.dropLast()) : absolute
    }

    private static func standardDirectory(_ environment: (String) -> String?) -> String {
        if let state = environment("XDG_STATE_HOME"), state.hasPrefix("/") { return state + "/troupe/embedded" }
        return (environment("HOME") ?? "/tmp/troupe-\(geteuid())") + "/.local/state/troupe/embedded"
    }

    /// Where the broker listens: in the directory, or, when that makes too long a path for a socket, under a digest of
    /// it in the user's runtime directory.
    package var socketPath: String {
        let near = directory + "/broker.sock"
        return near.utf8.count <= SocketPath.bytesMax ? near : farDirectory + "/" + digest + ".sock"
    }

    /// The directory of the socket, when it is not ours anyway.
    var socketDirectory: String { String(socketPath[..<socketPath.lastIndex(of: "/")!]) }

    private var farDirectory: String {
        let runtime = FileSystem.environment("XDG_RUNTIME_DIR") ?? ""
        let near = runtime + "/troupe"
        let fits = runtime.hasPrefix("/") && near.utf8.count + 30 <= SocketPath.bytesMax && FileSystem.exists(runtime)
        return fits ? near : "/tmp/troupe-\(geteuid())"
    }

    private var digest: String {
        let bytes = SHA256.hash(data: Array(FileSystem.canonical(directory).utf8)).prefix(10)
        return bytes.reduce(into: "") { $0 += String($1 >> 4, radix: 16) + String($1 & 15, radix: 16) }
    }
}
