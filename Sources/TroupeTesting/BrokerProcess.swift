/// A real `troupe` process for a test: a broker, or a member of an embedded exchange.
public final class BrokerProcess: Sendable {
    private let arguments: [String]
    private let process: ChildProcess

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
        process = try ChildProcess([Self.executable] + arguments)
        try start()
    }

    /// The process, for SIGSTOP and the like.
    public var pid: Int32? { process.pid }

    /// Ends it with SIGKILL and waits until it is gone.
    public func kill() { process.kill() }

    /// Asks it to end (SIGTERM) and waits until it has.
    public func terminate() { process.terminate() }

    /// The executable product beside the test bundle.
    public static var executable: String {
        get throws { try ChildProcess.product("troupe") }
    }

    /// Starts it again, after ``kill()`` or ``terminate()``.
    public func start() throws {
        try process.start()
        guard process.line() != nil else {
            process.kill()
            throw ChildProcess.Failure(
                description: "troupe \(arguments.joined(separator: " ")) ended before it was ready")
        }
    }
}
