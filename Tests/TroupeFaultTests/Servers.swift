import Foundation
import TroupeTesting

/// A real server of an exchange that a test can stop, kill and start again.
enum Server: String, CaseIterable, Sendable {
    case broker
    case redis

    func start() async throws -> Running {
        switch self {
        case .broker:
            let directory = FileManager.default.temporaryDirectory.appendingPathComponent(
                "troupe-fault-\(UUID().uuidString.prefix(8))"
            ).path
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let url = "ipc://\(directory)/broker.sock"
            let broker = try BrokerProcess.broker(
                listen: url, journal: "\(directory)/journal", durability: "durable")
            return Running(url: url, directory: directory, kind: .broker(broker))
        case .redis:
            let server = try await RedisServer.start(["--appendonly", "yes", "--appendfsync", "always"])
            return Running(url: server.unixURL, directory: nil, kind: .redis(server))
        }
    }

    final class Running: Sendable {
        enum Kind: Sendable {
            case broker(BrokerProcess)
            case redis(RedisServer)
        }
        let url: String
        private let directory: String?
        private let kind: Kind

        init(url: String, directory: String?, kind: Kind) {
            self.url = url
            self.directory = directory
            self.kind = kind
        }

        deinit {
            stopForGood()
            if let directory { try? FileManager.default.removeItem(atPath: directory) }
        }

        func signal(_ number: Int32) {
            let pid =
                switch kind {
                case .broker(let broker): broker.pid
                case .redis(let server): server.pid
                }
            if let pid { kill(pid, number) }
        }

        func killServer() {
            switch kind {
            case .broker(let broker): broker.kill()
            case .redis(let server): server.kill()
            }
        }

        func restart() async throws {
            switch kind {
            case .broker(let broker): try broker.start()
            case .redis(let server): try await server.start()
            }
        }

        /// Where what it has written down lies.
        private var files: URL {
            switch kind {
            case .broker: URL(filePath: directory ?? "").appending(path: "journal")
            case .redis(let server): URL(filePath: server.directory).appending(path: "appendonlydir")
            }
        }

        /// Keeps a copy of what is written down by now, for ``goBack()``.
        func keepFiles() throws { try FileManager.default.copyItem(at: files, to: files.appendingPathExtension("old")) }

        /// Puts the kept copy in the place of what is written down; the server must not run.
        func goBack() throws {
            try FileManager.default.removeItem(at: files)
            try FileManager.default.moveItem(at: files.appendingPathExtension("old"), to: files)
        }

        private func stopForGood() { killServer() }
    }
}
