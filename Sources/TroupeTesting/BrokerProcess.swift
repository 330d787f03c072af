internal import Glibc
internal import Synchronization

/// A real `troupe` process for a test: a broker, or a member of an embedded exchange. It dies with the process that started
/// it, however that ends: a small shell between the two waits for the end of a pipe which only that process holds open.
public final class BrokerProcess: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    private struct Running {
        let shell: pid_t
        let process: pid_t
        /// Our end of the pipe that the shell reads.
        let leash: Int32
        /// What the process says.
        let report: Int32
    }

    private let arguments: [String]
    private let running = Mutex<Running?>(nil)

    /// `troupe broker` with the address, and with the journal's directory if there is to be one.
    public static func broker(
        listen url: String, journal directory: String? = nil, durability: String? = nil
    ) throws -> BrokerProcess {
        var arguments = ["broker", "--listen", url, "--json"]
        if let directory { arguments += ["--journal", directory] }
        if let durability { arguments += ["--durability", durability] }
        return try BrokerProcess(arguments)
    }

    /// A member of an embedded exchange without workers: its broker, if nobody is.
    public static func member(of url: String) throws -> BrokerProcess {
        try BrokerProcess(["up", "-x", url, "--json"])
    }

    /// Starts `troupe` with the arguments and returns when it has said its first line.
    public init(_ arguments: [String]) throws {
        self.arguments = arguments
        try start()
    }

    deinit { stop(order: "") }

    /// The process, for SIGSTOP and the like.
    public var pid: Int32? { running.withLock { $0?.process } }

    /// Ends it with SIGKILL and waits until it is gone.
    public func kill() { stop(order: "") }

    /// Asks it to end (SIGTERM) and waits until it has.
    public func terminate() { stop(order: "TERM\n") }

    /// The executable product beside the test bundle.
    public static var executable: String {
        get throws {
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/exe", &buffer, buffer.count)
            let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let found = (path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".") + "/troupe"
            guard access(found, X_OK) == 0 else {
                throw Failure(description: "\(found) is not there: build the product troupe first (swift build)")
            }
            return found
        }
    }

    /// Tells its process's number, then waits for an order: the name of a signal, or the end of the pipe.
    private static let script = """
        "$@" </dev/null 2>/dev/null &
        process=$!
        echo $process
        order=
        read -r order
        kill -"${order:-KILL}" $process 2>/dev/null
        wait $process
        """

    /// Starts it again, after ``kill()`` or ``terminate()``.
    public func start() throws {
        precondition(pid == nil, "this process runs already")
        let command = try ["/bin/sh", "-c", Self.script, "sh", Self.executable] + arguments
        var leash: [Int32] = [0, 0]
        var report: [Int32] = [0, 0]
        // Socket pairs, since they can be made close-on-exec at once: a leash that leaks into another child never ends.
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &leash) == 0, socketpair(AF_UNIX, type, 0, &report) == 0 else {
            throw Failure(description: "no file descriptors left: error \(errno)")
        }
        let shell = Self.spawn(command, input: leash[0], output: report[1])
        close(leash[0])
        close(report[1])
        guard let shell, let process = pid_t(Self.line(from: report[0])) else {
            close(leash[1])
            close(report[0])
            throw Failure(description: "/bin/sh could not be started")
        }
        let started = Running(shell: shell, process: process, leash: leash[1], report: report[0])
        running.withLock { $0 = started }
        guard !Self.line(from: report[0]).isEmpty else {
            stop(order: "")
            throw Failure(description: "troupe \(arguments.joined(separator: " ")) ended before it was ready")
        }
    }

    private func stop(order: String) {
        guard
            let stopped = running.withLock({ state in
                let old = state; state = nil; return old
            })
        else { return }
        _ = order.withCString { write(stopped.leash, $0, strlen($0)) }
        close(stopped.leash)
        var status: Int32 = 0
        while waitpid(stopped.shell, &status, 0) < 0, errno == EINTR {}
        close(stopped.report)
    }

    /// The next line without its end; empty at the end of what is said.
    private static func line(from descriptor: Int32) -> String {
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") { text.append(byte) }
        return String(decoding: text, as: UTF8.self)
    }

    /// Starts a command in a process group of its own, with no signal blocked or ignored.
    private static func spawn(_ command: [String], input: Int32, output: Int32) -> pid_t? {
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
        let strings: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for string in strings { free(string) } }
        var pid: pid_t = 0
        return posix_spawn(&pid, command[0], &actions, &attributes, strings, environ) == 0 ? pid : nil
    }
}
