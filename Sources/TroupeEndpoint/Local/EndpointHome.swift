import CBOR
import Foundation
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What an endpoint is told, as its directory keeps it in `endpoint.json`.
package struct EndpointSettings: Hashable, Sendable, Codable {
    package var site: String
    /// The exchange's URL; where it is absent, the environment's or the command line's is taken. A password in it is why
    /// the file is its owner's only.
    package var exchange: String?
    /// Where other endpoints connect to, as `host:port`.
    package var listen: [String]
    /// Where processes of the site find the endpoint, beside the socket in the directory.
    package var local: [String]
    /// Where peers find each other that have no address.
    package var relay: RelaySettings?
    /// How paths through NATs are found.
    package var nat: NATSettings?

    package init(site: String, exchange: String?, listen: [String], local: [String]) {
        self.site = site
        self.exchange = exchange
        self.listen = listen
        self.local = local
    }
}

/// The relays that an endpoint uses.
package struct RelaySettings: Hashable, Sendable, Codable {
    /// `wss://host[:port]`, or `ws://…`; any will do.
    package var urls: [String]
    package var tenant: String?
    package var tokenFile: String?
    /// Certificates of authorities (PEM); the system's if absent.
    package var authoritiesFile: String?
    /// Whether they may pass on what both sides have sealed, where no other path is found.
    package var forwarding: Bool

    package init(
        urls: [String], tenant: String? = nil, tokenFile: String? = nil, authoritiesFile: String? = nil,
        forwarding: Bool = true
    ) {
        self.urls = urls
        self.tenant = tenant
        self.tokenFile = tokenFile
        self.authoritiesFile = authoritiesFile
        self.forwarding = forwarding
    }

    package func configuration(
        key: EndpointKey, site: String
    ) throws(EndpointError) -> RelayClientConfiguration {
        var relays: [RelayURL] = []
        for url in urls { relays.append(try RelayURL(url)) }
        var configuration = RelayClientConfiguration(key: key, site: site, tenant: tenant, relays: relays)
        configuration.tokenFile = tokenFile.map { FilePath($0) }
        if let authoritiesFile { configuration.trustRoots = .file(FilePath(authoritiesFile)) }
        return configuration
    }
}

/// Servers that help to find paths through NATs.
package struct NATSettings: Hashable, Sendable, Codable {
    /// As `host:port`.
    package var stun: [String]
    package var turn: [TURN]

    package struct TURN: Hashable, Sendable, Codable {
        /// As `host:port`.
        package var server: String
        package var user: String
        /// A file with the password, its owner's only.
        package var passwordFile: String
        /// `udp` or `tcp`.
        package var transport: String

        package init(server: String, user: String, passwordFile: String, transport: String) {
            self.server = server
            self.user = user
            self.passwordFile = passwordFile
            self.transport = transport
        }
    }

    package init(stun: [String], turn: [TURN]) {
        self.stun = stun
        self.turn = turn
    }

    package func configuration() throws(EndpointError) -> ICEConfiguration {
        var ice = ICEConfiguration()
        for text in stun { ice.stun.append(try Self.server(text)) }
        for turn in turn {
            guard let transport = TURNServer.Transport(rawValue: turn.transport) else {
                throw EndpointError(
                    .invalidArgument, "a TURN server's transport is udp or tcp, and not '\(turn.transport)'")
            }
            ice.turn.append(
                TURNServer(
                    try Self.server(turn.server), user: turn.user, password: try Self.secret(turn.passwordFile),
                    transport: transport))
        }
        return ice
    }

    private static func server(_ text: String) throws(EndpointError) -> ServerAddress {
        let address = try HostPort(parsing: text)
        return ServerAddress(host: address.host, port: UInt16(address.port))
    }

    private static func secret(_ path: String) throws(EndpointError) -> String {
        guard let data = FileManager.default.contents(atPath: path), data.count <= 4096 else {
            throw EndpointError(.files, "the password file \(path) cannot be read")
        }
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// An endpoint's directory: key, settings, trust file, socket, lock and log.
package struct EndpointHome: Sendable {
    package let directory: FilePath

    package init(_ directory: FilePath) { self.directory = directory }

    package var keyFile: FilePath { directory.appending("key") }
    package var settingsFile: FilePath { directory.appending("endpoint.json") }
    package var trustFile: FilePath { directory.appending("trust") }
    package var logFile: FilePath { directory.appending("log") }
    /// Copies of other sites' objects.
    package var objectDirectory: FilePath { directory.appending("objects") }
    private var lockFile: FilePath { directory.appending("lock") }
    /// The socket for this host's processes.
    package var socket: String { "ipc://\(directory.string)/socket" }

    private static let fileSizeBytesMax = 8 << 20

    // MARK: Making

    /// Makes the directory of a new endpoint.
    ///
    /// - Returns: its id.
    package func make(_ settings: EndpointSettings) throws(EndpointError) -> EndpointID {
        try TrustFile.checkSite(settings.site)
        for address in settings.listen { _ = try HostPort(parsing: address) }
        for url in settings.relay?.urls ?? [] { _ = try RelayURL(url) }
        _ = try settings.nat?.configuration()
        do {
            try FileManager.default.createDirectory(
                atPath: directory.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw EndpointError(.files, "the directory \(directory) cannot be made: \(error.localizedDescription)")
        }
        let key = try EndpointKey.create(at: keyFile)
        try write(settings)
        try write(TrustFile())
        return key.id
    }

    package func settings() throws(EndpointError) -> EndpointSettings {
        let text = try read(settingsFile, remedy: "make one with 'troupe endpoint init'")
        do {
            return try JSONDecoder().decode(EndpointSettings.self, from: Data(text.utf8))
        } catch {
            throw EndpointError(.files, "\(settingsFile) cannot be read as settings: \(error)")
        }
    }

    private func write(_ settings: EndpointSettings) throws(EndpointError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            try replace(settingsFile, with: String(decoding: encoder.encode(settings), as: UTF8.self) + "\n")
        } catch let error as EndpointError {
            throw error
        } catch {
            throw EndpointError(.files, "the settings cannot be written: \(error)")
        }
    }

    package func trust() throws(EndpointError) -> TrustFile {
        try TrustFile(
            parsing: read(trustFile, remedy: "make one with 'troupe endpoint init'"), name: trustFile.string)
    }

    package func write(_ trust: TrustFile) throws(EndpointError) { try replace(trustFile, with: trust.text) }

    // MARK: Running

    /// Takes the directory for this process, until the lock goes with it.
    package func lock() throws(EndpointError) -> EndpointLock {
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(
                lockFile, .readWrite, options: [.create, .closeOnExec], permissions: [.ownerRead, .ownerWrite])
        } catch {
            throw EndpointError(.files, "\(lockFile) cannot be opened: \(error)")
        }
        guard flock(file.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            let pid = pid(in: file)
            try? file.close()
            throw EndpointError(
                .refused, "an endpoint runs in \(directory) already\(pid.map { " (process \($0))" } ?? "")")
        }
        do {
            try file.resize(to: 0)
            _ = try file.writeAll(toAbsoluteOffset: 0, "\(getpid())\n".utf8)
        } catch {
            throw EndpointError(.files, "\(lockFile) cannot be written: \(error)")
        }
        return EndpointLock(file)
    }

    /// The process that runs the endpoint; nil if none does.
    package func runningProcess() -> Int32? {
        guard let file = try? FileDescriptor.open(lockFile, .readWrite, options: .closeOnExec) else { return nil }
        defer { try? file.close() }
        guard flock(file.rawValue, LOCK_EX | LOCK_NB) != 0 else { return nil }
        return pid(in: file)
    }

    private func pid(in file: FileDescriptor) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count =
            (try? unsafe bytes.withUnsafeMutableBytes { unsafe try file.read(fromAbsoluteOffset: 0, into: $0) }) ?? 0
        return Int32(String(decoding: bytes.prefix(count), as: UTF8.self).trimmingCharacters(in: .newlines))
    }

    // MARK: Files

    private func read(_ path: FilePath, remedy: String) throws(EndpointError) -> String {
        guard FileManager.default.fileExists(atPath: path.string) else {
            throw EndpointError(.files, "there is no \(path): \(remedy)")
        }
        guard let data = FileManager.default.contents(atPath: path.string), data.count <= Self.fileSizeBytesMax else {
            throw EndpointError(.files, "\(path) cannot be read, or is larger than 8 MiB")
        }
        return String(decoding: data, as: UTF8.self)
    }

    /// At once: a reader sees the old text or the new one.
    private func replace(_ path: FilePath, with text: String) throws(EndpointError) {
        let new = FilePath(path.string + ".new")
        do {
            let file = try FileDescriptor.open(
                new, .writeOnly, options: [.create, .truncate], permissions: [.ownerRead, .ownerWrite])
            try file.closeAfter {
                _ = try file.writeAll(text.utf8)
                guard fsync(file.rawValue) == 0 else { throw Errno(rawValue: errno) }
            }
            guard unsafe rename(new.string, path.string) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            throw EndpointError(.files, "\(path) cannot be written: \(error)")
        }
    }
}

/// Holds an endpoint's directory for a process.
package struct EndpointLock: ~Copyable {
    private let file: FileDescriptor
    fileprivate init(_ file: FileDescriptor) { self.file = file }
    deinit { try? file.close() }
}
