import Glibc
import TroupeCore

/// Which process is the broker of an `embedded:` exchange: the one that holds the lock of the directory.
///
/// The operating system frees the lock when its holder dies, however that happens; whoever asks next holds it.
package enum EmbeddedElection {
    /// What a process is in an exchange.
    package enum Role: Sendable {
        /// This process is to be the broker, for as long as it keeps the leadership.
        case leader(EmbeddedLeadership)
        /// Another process is; its socket is here, or will be in a moment.
        case follower(socketPath: String)
    }

    /// Asks for the leadership once, without waiting. A follower that has lost its broker asks again.
    ///
    /// - Throws: `permission` when the directory is not ours to use; `busy` when a process of another host holds the lock
    ///   over a shared file system.
    package static func acquire(_ place: EmbeddedPlace) throws(BrokerError) -> Role {
        try FileSystem.makePrivateDirectory(place.directory)
        let lock = try SystemFile(place.lockPath, O_RDWR | O_CREAT | O_NOFOLLOW)
        guard try lock.tryLock() else { return try follow(place) }
        let socketPath = place.socketPath
        if place.socketDirectory != place.directory { try FileSystem.makePrivateDirectory(place.socketDirectory) }
        try FileSystem.removeSocket(socketPath)
        let notice = Notice(socketPath: socketPath, process: getpid(), host: HostName.current)
        try FileSystem.replace(place.noticePath, with: notice.bytes)
        return .leader(EmbeddedLeadership(place, socketPath, lock))
    }

    private static func follow(_ place: EmbeddedPlace) throws(BrokerError) -> Role {
        // Between a leader's lock and its notice, the old notice or none is there; both name the usual socket.
        guard FileSystem.exists(place.noticePath), let notice = Notice(try FileSystem.read(place.noticePath)) else {
            return .follower(socketPath: place.socketPath)
        }
        guard notice.host == HostName.current else {
            throw BrokerError(
                .busy,
                "\(place.directory) is served by process \(notice.process) on host \(notice.host); an embedded exchange is for one host: use a broker at tcp:// or tls+tcp://."
            )
        }
        return .follower(socketPath: notice.socketPath)
    }
}

/// The lock of an embedded exchange. The process is its broker until this is resigned or let go.
package final class EmbeddedLeadership: Sendable {
    package let place: EmbeddedPlace
    /// Where the broker is to listen.
    package let socketPath: String
    private let lock: SystemFile

    init(_ place: EmbeddedPlace, _ socketPath: String, _ lock: consuming SystemFile) {
        self.place = place
        self.socketPath = socketPath
        self.lock = lock
    }
}

/// What a leader writes down for followers.
private struct Notice {
    var socketPath: String
    var process: Int32
    var host: String

    var bytes: [UInt8] { Array("\(socketPath)\n\(process)\n\(host)\n".utf8) }
}

extension Notice {
    /// Nil when the bytes are no notice.
    init?(_ bytes: [UInt8]) {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 4, lines[0].hasPrefix("/"), let process = Int32(lines[1]) else { return nil }
        self.init(socketPath: String(lines[0]), process: process, host: String(lines[2]))
    }
}
