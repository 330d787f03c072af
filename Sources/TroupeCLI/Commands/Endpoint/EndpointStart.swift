import ArgumentParser
import FoundationEssentials
import SystemPackage
import TroupeEndpoint

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

struct EndpointStart: EndpointCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Run the endpoint, in the foreground or detached.",
        discussion: """
            Until SIGINT or SIGTERM. Changes of the trust file take effect by themselves. An endpoint may be killed at \
            any moment: what is under way waits in the exchanges of the two sites.
            """)

    @Option(
        name: [.customShort("x"), .long],
        help: ArgumentHelp("The site's exchange, instead of that of the settings.", valueName: "url"))
    var exchange: String?
    @Option(
        help: ArgumentHelp(
            "How much of other sites' objects is kept here for readers, in bytes or as 512MiB or 8GiB; 0 keeps none.",
            valueName: "size"))
    var objectsSizeMax = SizeText(bytes: 8 << 30)
    @Option(
        help: ArgumentHelp(
            "How long objects of this site are kept for other sites that refer to them and are not reached, at least 1m.",
            valueName: "duration"))
    var objectsLease = DurationText(.seconds(3600))
    @Flag(help: "Go on in the background; the log goes to 'log' in the directory.") var detach = false
    @OptionGroup var options: EndpointOptions

    /// Other sites look every ten seconds, and ask for more time when a third is over.
    private static let leaseMin = Duration.seconds(60)
    private static let readyTimeMax = Duration.seconds(30)

    func run(at home: EndpointHome, _ terminal: Terminal) async throws {
        guard objectsLease.duration >= Self.leaseMin else {
            throw Failure(.usage, "--objects-lease is at least a minute")
        }
        // What is wrong with the settings is said here, also of one that is to be detached.
        let settings = try home.settings()
        _ = try home.trust()
        let url = exchange ?? ProcessInfo.processInfo.environment["TROUPE_EXCHANGE"].flatMap { $0.isEmpty ? nil : $0 }
        if let url = url ?? settings.exchange { try checkShared(url) }
        if exchange == nil, let url, let own = settings.exchange, url != own {
            terminal.note("the exchange is that of TROUPE_EXCHANGE, and not that of \(home.settingsFile)")
        }
        if detach { return try await startDetached(at: home, terminal) }
        let json = options.json
        try await Foreground.run {
            do {
                try await runEndpoint(
                    home, exchange: url, copiesMax: objectsSizeMax.bytes, objectLease: objectsLease.duration
                ) { status in
                    try? EndpointView.print(status, to: terminal, json: json)
                }
            } catch let error as EndpointError {
                throw Failure(error)
            }
        }
    }

    /// Starts this program again, in a session of its own, and waits until it serves.
    private func startDetached(at home: EndpointHome, _ terminal: Terminal) async throws {
        if let process = home.runningProcess() {
            throw Failure(.refused, "an endpoint runs in \(home.directory) already (process \(process))")
        }
        let log = try FileDescriptor.open(
            home.logFile, .writeOnly, options: [.create, .append], permissions: [.ownerRead, .ownerWrite])
        defer { try? log.close() }
        let logged = try log.seek(offset: 0, from: .end)
        var environment = ProcessInfo.processInfo.environment
        // Not by the command line: others can read the words of a process, and the URL may hold a password.
        if let exchange { environment["TROUPE_EXCHANGE"] = exchange }
        let process = try Detached.start(
            [
                "endpoint", "start", "--directory", home.directory.string,
                "--objects-size-max", "\(objectsSizeMax.bytes)",
                "--objects-lease", "\(objectsLease.duration.components.seconds)s",
            ], environment: environment, output: log)
        let end = ContinuousClock.now + Self.readyTimeMax
        while ContinuousClock.now < end {
            if let answer = try? await askEndpoint(home, .status, timeout: .seconds(2)),
                case .status(let status) = answer
            {
                return try EndpointView.print(status, to: terminal, json: options.json)
            }
            guard !Detached.hasEnded(process) else {
                let reason = Self.lastLine(of: home.logFile, from: logged).map { ": \($0)" } ?? ""
                throw Failure(.unavailable, "the endpoint has ended at once (\(home.logFile))\(reason)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failure(
            .unavailable, "the endpoint (process \(process)) does not serve yet; \(home.logFile) says what it waits for"
        )
    }

    /// What one that has ended said last.
    private static func lastLine(of file: FilePath, from offset: Int64) -> String? {
        guard let data = FileManager.default.contents(atPath: file.string), data.count > offset else { return nil }
        let text = String(decoding: data.dropFirst(Int(offset)).suffix(4096), as: UTF8.self)
        guard let line = text.split(whereSeparator: \.isNewline).last else { return nil }
        let name = "troupe: "
        return Escape.line(line.hasPrefix(name) ? String(line.dropFirst(name.count)) : String(line))
    }
}

/// A copy of this program that outlives it.
private enum Detached {
    /// glibc's POSIX_SPAWN_SETSID, which a feature macro hides from Swift.
    private static let newSession: Int16 = 0x80

    static func start(
        _ arguments: [String], environment: [String: String], output: FileDescriptor
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDERR_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A session of its own: the terminal's end is not its end.
        posix_spawnattr_setflags(&attributes, newSession | Int16(POSIX_SPAWN_SETSIGMASK))
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var words: [UnsafeMutablePointer<CChar>?] = (["troupe"] + arguments).map { strdup($0) } + [nil]
        var values: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in words + values { free(pointer) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, "/proc/self/exe", &actions, &attributes, &words, &values)
        guard result == 0 else {
            throw Failure(.unavailable, "the endpoint cannot be started: \(Errno(rawValue: result))")
        }
        return process
    }

    /// Also takes its status, so that nothing is left of it.
    static func hasEnded(_ process: pid_t) -> Bool {
        var status: Int32 = 0
        return waitpid(process, &status, WNOHANG) == process
    }
}

enum Signals {
    /// - Returns: whether it could be told.
    static func terminate(_ process: Int32) -> Bool { kill(process, SIGTERM) == 0 }
}
