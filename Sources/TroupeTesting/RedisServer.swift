internal import Glibc

/// A real `redis-server` for a test: in a fresh temporary directory, on a Unix socket there and on a free port of
/// 127.0.0.1.
public final class RedisServer: Sendable {
    public typealias Failure = ChildProcess.Failure

    /// The server's directory; `start()` after a stop uses it again.
    public let directory: String
    /// The port on 127.0.0.1.
    public let port: Int
    public var socketPath: String { "\(directory)/redis.sock" }
    public var url: String { "redis://127.0.0.1:\(port)" }
    public var unixURL: String { "redis+unix://\(socketPath)" }

    private let process: ChildProcess

    /// Starts a server with further command-line arguments (`"--appendonly", "yes"`) and waits until it answers.
    /// With `clearPort` false the port is left to the arguments, as in `"--tls-port", "\(port)"`. A `configuration` is
    /// the text of a configuration file, which a Sentinel must have.
    public static func start(
        _ arguments: [String] = [], port: Int? = nil, clearPort: Bool = true, directory: String? = nil,
        configuration: String? = nil
    ) async throws -> RedisServer {
        var lastFailure = Failure(description: "no attempt was made")
        // A free port may be taken by another process before the server binds it; then another one is tried.
        for _ in 0..<(port == nil ? 5 : 1) {
            let server = try RedisServer(
                arguments, port: port ?? freePort(), clearPort: clearPort, directory: directory,
                configuration: configuration)
            do {
                try await server.start()
                return server
            } catch let failure as Failure {
                lastFailure = failure
            }
        }
        throw lastFailure
    }

    private init(
        _ arguments: [String], port: Int, clearPort: Bool, directory: String?, configuration: String?
    ) throws {
        self.directory = try directory ?? Self.makeDirectory()
        self.port = port
        var command = ["env", "--ignore-signal=XFSZ", "redis-server"]
        if let configuration {
            let path = "\(self.directory)/server.conf"
            try Self.write(configuration, to: path)
            command.append(path)
        }
        process = ChildProcess(
            command + [
                "--dir", self.directory, "--unixsocket", "\(self.directory)/redis.sock", "--bind",
                "127.0.0.1",
                "--port", clearPort ? "\(port)" : "0", "--save", "", "--logfile", "\(self.directory)/redis.log",
            ] + arguments)
    }

    deinit {
        kill()
        removeTree(directory)
    }

    /// The server's process, for SIGSTOP and the like.
    public var pid: Int32? { process.pid }

    /// A TCP port that was free a moment ago.
    public static func freePort() throws -> Int {
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(number) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                bind(number, raw, size) == 0 ? getsockname(number, raw, &size) : -1
            }
        }
        guard result == 0 else { throw Failure(description: "no free port: error \(errno)") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Starts the server again on the same directory and port, after `kill()` or `terminate()`.
    public func start() async throws {
        precondition(pid == nil, "this server runs already")
        unlink(socketPath)
        try process.start()
        for _ in 0..<2_000 {
            if answers() { return }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(5))
        }
        kill()
        throw Failure(description: "redis-server did not come up; the end of its log:\n\(logTail())")
    }

    /// Ends the server with SIGKILL and waits until it is gone.
    public func kill() { process.kill() }

    /// Asks the server to save and end (SIGTERM) and waits until it has.
    public func terminate() { process.terminate() }

    /// Lets none of the server's files grow beyond this size; nil lifts that. Writes beyond fail as on a full disk.
    public func limitFileSize(bytes: Int?) throws {
        guard let pid else { throw Failure(description: "the server does not run") }
        let soft = bytes.map { "\($0)" } ?? "unlimited"
        let command = ChildProcess(["prlimit", "--pid", "\(pid)", "--fsize=\(soft):unlimited"])
        try command.start()
        guard command.wait() == .exited(0) else { throw Failure(description: "prlimit did not set the limit") }
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "we") else { throw Failure(description: "\(path) cannot be written: \(errno)") }
        defer { fclose(file) }
        guard fputs(text, file) >= 0 else { throw Failure(description: "\(path) cannot be written: \(errno)") }
    }

    // MARK: Readiness

    private func answers() -> Bool { Self.answers(at: socketPath) }

    /// Whether a server answers PING on its Unix socket, even if only to ask for a password.
    package static func answers(at socketPath: String) -> Bool {
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(number) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(socketPath.utf8).prefix(107)) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { return false }
        let ping = "PING\r\n"
        guard ping.withCString({ send(number, $0, ping.utf8.count, Int32(MSG_NOSIGNAL)) }) > 0 else { return false }
        var waited = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        guard poll(&waited, 1, 1_000) == 1 else { return false }
        var reply = [UInt8](repeating: 0, count: 64)
        let count = recv(number, &reply, reply.count, 0)
        guard count > 0 else { return false }
        let text = String(decoding: reply.prefix(count), as: UTF8.self)
        return text.hasPrefix("+PONG") || text.hasPrefix("-NOAUTH") || text.hasPrefix("-NOPERM")
    }

    private func logTail() -> String { readFile("\(directory)/redis.log", tailBytes: 2_000) }

    private func readFile(_ path: String, tailBytes: Int) -> String {
        guard let file = fopen(path, "re") else { return "" }
        defer { fclose(file) }
        fseek(file, -tailBytes, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: tailBytes)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    private static func makeDirectory() throws -> String {
        var template = Array("/tmp/troupe-redis-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(description: "no temporary directory: error \(errno)") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Removes a directory and what is in it, without following links.
private func removeTree(_ path: String) {
    if let directory = opendir(path) {
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        closedir(directory)
        for name in names where unlink("\(path)/\(name)") != 0 { removeTree("\(path)/\(name)") }
    }
    rmdir(path)
}
