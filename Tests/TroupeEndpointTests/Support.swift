import Foundation
import SystemPackage

/// A directory of a test's own, gone with its owner.
final class TemporaryDirectory: Sendable {
    let path: FilePath

    init() throws {
        path = FilePath(FileManager.default.temporaryDirectory.path).appending("troupe-endpoint-\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: path.string, withIntermediateDirectories: true)
    }

    deinit {
        // Again if something in it was removed at the same time, as a socket is that is closed.
        for _ in 0..<5 where FileManager.default.fileExists(atPath: path.string) {
            try? FileManager.default.removeItem(atPath: path.string)
        }
    }
}
