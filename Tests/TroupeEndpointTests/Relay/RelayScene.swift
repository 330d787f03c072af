import Foundation
import Logging
import NIOCore
import Synchronization
import SystemPackage
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// A real relay in this process, for the time of a test, and what tests do with it.
struct RelayScene: Sendable {
    let ready: RelayReady
    let server: RelayServer
    let log: LogBook

    var url: RelayURL {
        get throws { try RelayURL("\(ready.isTLS ? "wss" : "ws")://127.0.0.1:\(ready.port)") }
    }

    /// Runs a relay on loopback while the body runs, and sees that it ends cleanly.
    static func run(
        _ policy: RelayPolicy = .open, limits: RelayLimits = RelayLimits(),
        tls: (certificate: FilePath, key: FilePath)? = nil, isBehindProxy: Bool = false,
        _ body: @escaping @Sendable (RelayScene) async throws -> Void
    ) async throws {
        let log = LogBook()
        let (starts, start) = AsyncStream<RelayReady>.makeStream()
        var configuration = RelayServerConfiguration(host: "127.0.0.1", port: 0, name: "127.0.0.1", policy: policy)
        configuration.limits = limits
        configuration.tls = tls
        configuration.isBehindProxy = isBehindProxy
        configuration.metrics = ("127.0.0.1", 0)
        configuration.rereadInterval = .milliseconds(50)
        let server = RelayServer(configuration, logger: log.logger) { start.yield($0) }
        // Tests wait for sockets of their own, which is no work for threads that all tasks share.
        try await withTaskExecutorPreference(BlockingExecutor.shared) {
            try await run(server, log, starts, start, body)
        }
    }

    private static func run(
        _ server: RelayServer, _ log: LogBook, _ starts: AsyncStream<RelayReady>,
        _ start: AsyncStream<RelayReady>.Continuation, _ body: @escaping @Sendable (RelayScene) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { start.finish() }
                try await server.run()
            }
            var iterator = starts.makeAsyncIterator()
            if let ready = await iterator.next() {
                try await body(RelayScene(ready: ready, server: server, log: log))
                group.cancelAll()
            }
            try await group.waitForAll()
        }
    }

    /// What the relay counts under a name, with its labels.
    func metric(_ name: String) throws -> Int? {
        let port = try #require(ready.metricsPort)
        let answer = try RawConnection.get("/metrics", port: port)
        let line = answer.split(separator: "\n").first { $0.hasPrefix("troupe_relay_\(name) ") }
        return line.flatMap { Int($0.split(separator: " ")[1]) }
    }

    func refusals(_ refusal: RelayRefusal) throws -> Int {
        try metric("refusals_total{reason=\"\(refusal.rawValue)\"}") ?? 0
    }

    /// Runs clients while the body runs; they are connected when it begins.
    func withClients(
        _ count: Int, tenants: [String] = [], configure: (inout RelayClientConfiguration) -> Void = { _ in },
        _ body: ([RelayClient], [EndpointID]) async throws -> Void
    ) async throws {
        let keys = (0..<count).map { _ in EndpointKey() }
        let clients = try keys.enumerated().map { index, key in
            var configuration = RelayClientConfiguration(
                key: key, site: "site-\(index)", tenant: tenants.isEmpty ? nil : tenants[index], relays: [try url])
            configuration.proxy = .none
            configuration.retry = .milliseconds(20)...Duration.milliseconds(200)
            configure(&configuration)
            return try RelayClient(configuration, logger: LogBook().logger)
        }
        try await Self.whileRunning(clients) {
            for client in clients { try await connected(client) }
            try await body(clients, keys.map(\.id))
        }
    }

    static func whileRunning(_ clients: [RelayClient], _ body: () async throws -> Void) async throws {
        // Structured: they end with this scope, whatever the body does.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for client in clients { group.addTask { try await client.run() } }
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    func connected(_ client: RelayClient) async throws {
        try await eventually("connected") { client.status.allSatisfy(\.isConnected) }
    }
}

/// Runs tasks on threads that may block.
final class BlockingExecutor: TaskExecutor {
    static let shared = BlockingExecutor()

    private let queue = DispatchQueue(label: "blocking tests", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Collects log lines.
final class LogBook: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    var logger: Logger {
        LineLog.logger("test") { line in self.lines.withLock { $0.append(line) } }
    }

    /// Whether it has a line with all of these.
    func has(_ words: String...) -> Bool {
        lines.withLock { lines in lines.contains { line in words.allSatisfy { line.contains($0) } } }
    }
}
