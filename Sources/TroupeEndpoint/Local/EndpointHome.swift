import CBOR
import Foundation
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

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
            throw EndpointError(.files, "\(settingsFile) cannot be read as settings: \(SettingsText.of(error))")
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
