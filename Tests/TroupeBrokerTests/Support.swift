import Glibc
import Synchronization
import Testing

@testable import TroupeBroker

/// A directory of one test, removed with everything in it.
final class Scratch: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/troupe-broker-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    deinit {
        var arguments = cStrings(["rm", "-rf", path])
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        if posix_spawnp(&process, "rm", nil, nil, &arguments, environ) == 0 {
            var status: Int32 = 0
            waitpid(process, &status, 0)
        }
    }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o600) throws -> String {
        let file = try SystemFile(self.file(name), O_WRONLY | O_CREAT | O_TRUNC)
        try file.write(bytes)
        fchmod(file.descriptor, mode)
        return self.file(name)
    }
}

/// A Python process of a test; killed when the test lets go of it.
final class Python: Sendable {
    let process: pid_t
    private let output: SystemFile

    /// Runs the script and returns when it has written its first line.
    init(_ script: String, _ arguments: [String] = []) throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        var words = cStrings(["python3", "-c", script] + arguments)
        defer { for word in words { free(word) } }
        var started: pid_t = 0
        try #require(posix_spawnp(&started, "python3", &actions, nil, &words, environ) == 0)
        process = started
        Glibc.close(ends[1])
        output = try SystemFile("/proc/self/fd/\(ends[0])", O_RDONLY)
        Glibc.close(ends[0])
        _ = try line()
    }

    /// The next line that the script writes, without its end.
    func line() throws -> String {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while Glibc.read(output.descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") { text.append(byte) }
        return String(decoding: text, as: UTF8.self)
    }

    func killAndReap() {
        kill(process, SIGKILL)
        reap()
    }

    func reap() {
        var status: Int32 = 0
        waitpid(process, &status, 0)
    }

    deinit {
        killAndReap()
    }
}

/// Is raised once.
final class Flag: Sendable {
    private let state = Mutex(false)
    var isRaised: Bool { state.withLock { $0 } }
    func raise() { state.withLock { $0 = true } }
}

/// Collects what callbacks say, for a test that awaits it.
final class Collector<Element: Sendable>: Sendable {
    private struct State {
        var items: [Element] = []
        var waiter: (count: Int, continuation: CheckedContinuation<[Element], Never>)?
    }
    private let state = Mutex(State())

    func add(_ item: Element) {
        let ready = state.withLock { state -> (CheckedContinuation<[Element], Never>, [Element])? in
            state.items.append(item)
            guard let waiter = state.waiter, state.items.count >= waiter.count else { return nil }
            state.waiter = nil
            return (waiter.continuation, state.items)
        }
        if let ready { ready.0.resume(returning: ready.1) }
    }

    /// All items, once there are at least so many.
    func first(_ count: Int) async -> [Element] {
        await withCheckedContinuation { continuation in
            let ready = state.withLock { state -> [Element]? in
                if state.items.count >= count { return state.items }
                state.waiter = (count, continuation)
                return nil
            }
            if let ready { continuation.resume(returning: ready) }
        }
    }
}

/// Copies for a system call, to be freed; ends with a nil.
private func cStrings(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
    texts.map { strdup($0) } + [nil]
}

/// The error that the body throws.
func failure<T>(_ body: () throws(BrokerError) -> T) -> BrokerError? {
    do throws(BrokerError) {
        _ = try body()
        return nil
    } catch {
        return error
    }
}

func failure<T>(_ body: () async throws(BrokerError) -> T) async -> BrokerError? {
    do throws(BrokerError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}
