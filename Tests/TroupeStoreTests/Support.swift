import Synchronization
import Testing
import TroupeStore

#if canImport(Glibc)
    import Glibc
#endif

/// Runs the body with a new directory and removes it afterwards.
func withDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    var template = Array("/tmp/troupe-store-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.map { mkdtemp($0) != nil } ?? false
    }
    try #require(made, "a temporary directory")
    let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { remove(directory) }
    return try await body(directory)
}

private func remove(_ path: String) {
    for name in names(in: path) {
        if unlink("\(path)/\(name)") != 0 { remove("\(path)/\(name)") }
    }
    rmdir(path)
}

func names(in path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names
}

/// The files of a file connector's directory.
func files(under directory: String) -> [String] {
    names(in: directory).flatMap { bucket in names(in: "\(directory)/\(bucket)").map { "\(directory)/\(bucket)/\($0)" }
    }
}

/// Changes bytes of a file, or cuts it.
func overwrite(_ path: String, at offset: Int, with bytes: [UInt8]) throws {
    let descriptor = open(path, O_WRONLY)
    defer { close(descriptor) }
    try #require(pwrite(descriptor, bytes, bytes.count, off_t(offset)) == bytes.count)
}

func cut(_ path: String, to size: Int) throws {
    try #require(truncate(path, off_t(size)) == 0)
}

func create(_ path: String, _ bytes: [UInt8]) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
    defer { close(descriptor) }
    try #require(write(descriptor, bytes, bytes.count) == bytes.count)
}

/// A connector in front of another one that counts what passes, and can hold fetches back.
final class CountingConnector: Connector {
    private let base: any Connector
    private let counts = Mutex((gets: 0, bytes: 0))
    private let gate: Gate?

    init(_ base: any Connector, gate: Gate? = nil) {
        self.base = base
        self.gate = gate
    }

    var kind: String { base.kind }
    var address: String { base.address }
    var objectSizeBytesMax: Int { base.objectSizeBytesMax }
    var isProcessLocal: Bool { base.isProcessLocal }
    var getCount: Int { counts.withLock { $0.gets } }
    var getBytes: Int { counts.withLock { $0.bytes } }

    func put(_ key: String, _ bytes: [UInt8], expiresAfter: Duration?) async throws(StoreError) {
        try await base.put(key, bytes, expiresAfter: expiresAfter)
    }

    func get(_ key: String, range: Range<Int>?) async throws(StoreError) -> [UInt8]? {
        counts.withLock { $0.gets += 1 }
        do { try await gate?.pass() } catch { throw StoreError(.cancelled, "held back and cancelled") }
        let bytes = try await base.get(key, range: range)
        counts.withLock { $0.bytes += bytes?.count ?? 0 }
        return bytes
    }

    func sizeBytes(_ key: String) async throws(StoreError) -> Int? { try await base.sizeBytes(key) }

    @discardableResult
    func delete(_ key: String) async throws(StoreError) -> Bool { try await base.delete(key) }
}

/// Holds those who pass until it is opened, and tells how many have come and how many were cancelled.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var arrivals = 0
        var cancellations = 0
        var held: [Int: CheckedContinuation<Void, any Error>] = [:]
        var watchers: [(arrivals: Int, cancellations: Int, CheckedContinuation<Void, Never>)] = []

        mutating func dueWatchers() -> [CheckedContinuation<Void, Never>] {
            let due = watchers.filter { arrivals >= $0.arrivals && cancellations >= $0.cancellations }
            watchers.removeAll { arrivals >= $0.arrivals && cancellations >= $0.cancellations }
            return due.map(\.2)
        }
    }

    private let state = Mutex(State())

    func pass() async throws {
        let number = state.withLock { state in
            state.arrivals += 1
            return state.arrivals
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (isOpen, due) = state.withLock { state in
                    if !state.isOpen { state.held[number] = continuation }
                    return (state.isOpen, state.dueWatchers())
                }
                if isOpen { continuation.resume() }
                for watcher in due { watcher.resume() }
                if Task.isCancelled { cancel(number) }
            }
        } onCancel: {
            cancel(number)
        }
    }

    private func cancel(_ number: Int) {
        let (held, due) = state.withLock { state in
            let held = state.held.removeValue(forKey: number)
            if held != nil { state.cancellations += 1 }
            return (held, state.dueWatchers())
        }
        held?.resume(throwing: CancellationError())
        for watcher in due { watcher.resume() }
    }

    func open() {
        let held = state.withLock { state in
            state.isOpen = true
            defer { state.held = [:] }
            return state.held
        }
        for continuation in held.values { continuation.resume() }
    }

    func wait(arrivals: Int = 0, cancellations: Int = 0) async {
        await withCheckedContinuation { continuation in
            let due = state.withLock { state in
                state.watchers.append((arrivals, cancellations, continuation))
                return state.dueWatchers()
            }
            for watcher in due { watcher.resume() }
        }
    }
}

/// The code of the `StoreError` that the body throws; `nil` if it throws none.
func storeErrorCode(_ body: () async throws -> Void) async -> StoreError.Code? {
    await storeError(body)?.code
}

func storeError(_ body: () async throws -> Void) async -> StoreError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? StoreError
    }
}

/// Counts per number, from any thread.
final class Counts: Sendable {
    private let counts: Mutex<[Int]>

    init(_ count: Int) { counts = Mutex([Int](repeating: 0, count: count)) }

    var all: [Int] { counts.withLock { $0 } }
    func add(_ number: Int) { counts.withLock { $0[number] += 1 } }
}
