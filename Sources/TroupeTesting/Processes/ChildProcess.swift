internal import Glibc
internal import Synchronization

/// A real process for a test. It dies with the process that started it, however that ends: a small shell between the two
/// waits for the end of a pipe which only that process holds open.
public final class ChildProcess: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String

        package init(description: String) { self.description = description }
    }

    private struct Running {
        let shell: pid_t
        let process: pid_t
        /// Our end of the pipe that the shell reads.
        let leash: Int32
        /// What the process says.
        let report: Int32
    }

    /// How a process ended.
    public enum Ending: Hashable, Sendable {
        case exited(Int)
        case signalled(Int)
    }

    private let command: [String]
    private let environment: [String: String]
    private let standardError: String
    private let running = Mutex<Running?>(nil)

    /// - Parameters:
    ///   - command: an executable, looked for in the path if it holds no slash, and its arguments.
    ///   - environment: added to that of this process.
    ///   - standardError: the file to which its standard error is appended.
    public init(_ command: [String], environment: [String: String] = [:], standardError: String = "/dev/null") {
        self.command = command
        self.environment = environment
        self.standardError = standardError
    }

    deinit { stop(order: "") }

    /// The process, for SIGSTOP and the like; nil when it was not started, or was ended by us.
    public var pid: Int32? { running.withLock { $0?.process } }

    /// Ends it with SIGKILL and waits until it is gone.
    @discardableResult public func kill() -> Ending? { stop(order: "") }

    /// Asks it to end (SIGTERM) and waits until it has.
    @discardableResult public func terminate() -> Ending? { stop(order: "TERM\n") }

    /// Waits until it has ended by itself.
    @discardableResult public func wait() -> Ending? { stop(order: "WAIT\n") }

    /// Sends it a signal.
    public func signal(_ number: Int32) {
        if let pid { Glibc.kill(pid, number) }
    }

    /// Lets the process tell its own number before all else it says, then waits for an order: the name of a signal, or the
    /// end of the pipe.
    private static let script = """
        exec 2>>"$1"
        shift
        /bin/sh -c 'echo $$; exec "$0" "$@"' "$@" </dev/null &
        process=$!
        exec >/dev/null
        order=
        read -r order
        if [ "$order" != WAIT ]; then kill -"${order:-KILL}" $process; fi 2>/dev/null
        wait $process
        """

    /// Starts it, and again after it was ended.
    public func start() throws {
        precondition(pid == nil, "this process runs already")
        var leash: [Int32] = [0, 0]
        var report: [Int32] = [0, 0]
        // Socket pairs, since they can be made close-on-exec at once: a leash that leaks into another child never ends.
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &leash) == 0, socketpair(AF_UNIX, type, 0, &report) == 0 else {
            throw Failure(description: "no file descriptors left: error \(errno)")
        }
        let words = ["/bin/sh", "-c", Self.script, "sh", standardError] + command
        let shell = Self.spawn(words, environment, input: leash[0], output: report[1])
        close(leash[0])
        close(report[1])
        guard let shell, let process = pid_t(Self.line(from: report[0]) ?? "") else {
            close(leash[1])
            close(report[0])
            if let shell { _ = Self.reap(shell) }
            throw Failure(description: "/bin/sh could not be started")
        }
        running.withLock { $0 = Running(shell: shell, process: process, leash: leash[1], report: report[0]) }
    }

    /// The next line of its standard output without its end; nil when it says no more. Blocks.
    public func line() -> String? {
        guard let report = running.withLock({ $0?.report }) else { return nil }
        return Self.line(from: report)
    }

    /// Reads on until a line holds the text; nil if the output ended before. Blocks. Who says more than a pipe holds waits
    /// to be read.
    public func line(containing text: String) -> String? {
        while let line = line() {
            if line.contains(text) { return line }
        }
        return nil
    }

    /// Whether it still runs: it has not ended, and nobody waits to collect it.
    public var isRunning: Bool {
        guard let pid, let file = fopen("/proc/\(pid)/stat", "re") else { return false }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = fread(&bytes, 1, bytes.count, file)
        let status = String(decoding: bytes.prefix(count), as: UTF8.self)
        guard let end = status.lastIndex(of: ")") else { return false }
        return status[status.index(after: end)...].drop { $0 == " " }.first != "Z"
    }

    @discardableResult
    private func stop(order: String) -> Ending? {
        let taken: Running? = running.withLock { state in
            defer { state = nil }
            return state
        }
        guard let stopped = taken else { return nil }
        _ = order.withCString { write(stopped.leash, $0, strlen($0)) }
        if order != "WAIT\n" { close(stopped.leash) }
        let status = Self.reap(stopped.shell)
        if order == "WAIT\n" { close(stopped.leash) }
        close(stopped.report)
        // The shell ends as its process did; one that was ended by a signal is told as 128 and the signal.
        let code = Int(status >> 8 & 0xFF)
        return code > 128 ? .signalled(code - 128) : .exited(code)
    }

    /// Waits for a shell and collects it: one that is left as a zombie holds up whoever waits for any child.
    private static func reap(_ shell: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(shell, &status, 0) < 0, errno == EINTR {}
        return status
    }

    private static func line(from descriptor: Int32) -> String? {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) == 1 {
            if byte == UInt8(ascii: "\n") { return String(decoding: text, as: UTF8.self) }
            text.append(byte)
        }
        return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
    }

    /// Starts a command in a process group of its own, with no signal blocked or ignored.
    private static func spawn(
        _ command: [String], _ environment: [String: String], input: Int32, output: Int32
    ) -> pid_t? {
        // NIO's sockets are inherited otherwise: a port at which a parallel test listens would stay taken by the child.
        for descriptor in Int32(3)..<1024 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        let variables: [UnsafeMutablePointer<CChar>?] = inherited(environment).map { strdup($0) } + [nil]
        defer { for string in words + variables { free(string) } }
        var pid: pid_t = 0
        return posix_spawn(&pid, command[0], &actions, &attributes, words, variables) == 0 ? pid : nil
    }

    private static func inherited(_ additions: [String: String]) -> [String] {
        var variables: [String] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if !additions.keys.contains(where: { text.hasPrefix("\($0)=") }) { variables.append(text) }
            next += 1
        }
        return variables + additions.map { "\($0)=\($1)" }
    }

    /// The path of an executable product, which stands beside the test bundle's runner.
    public static func product(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let found = (path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".") + "/\(name)"
        guard access(found, X_OK) == 0 else {
            throw Failure(description: "\(found) is not there: build the product \(name) first (swift build)")
        }
        return found
    }
}
