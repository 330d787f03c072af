import ArgumentParser
import SystemPackage
import TroupeEndpoint
import UnixSignals

extension HostPort: ExpressibleByArgument {
    package init?(argument: String) {
        do throws(EndpointError) { try self.init(parsing: argument) } catch { return nil }
    }

    /// Whether it stands for all addresses of the machine, so that nobody would call it by it.
    var isAnyAddress: Bool { ["0.0.0.0", "::", "*"].contains(host) }
}

enum OnOff: String, ExpressibleByArgument, CaseIterable {
    case on, off
}

/// Who may log in: exactly one of the three.
struct RelayPolicyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Let in the endpoints of this file: a line 'TENANT ENDPOINT-ID [NAME]' for each, read again when it changes.",
            valueName: "file"))
    var allow: String?

    @Option(
        help: ArgumentHelp(
            "Let in whoever has a token made with this key (see 'troupe relay token'); a public key is enough.",
            valueName: "file"))
    var tokenKey: String?

    @Flag(help: "Let in everybody, all in the tenant 'default'.") var open = false

    func validate() throws {
        guard [allow != nil, tokenKey != nil, open].count(where: { $0 }) == 1 else {
            throw ValidationError("say who may log in: one of --allow FILE, --token-key FILE and --open")
        }
    }

    var policy: RelayPolicy {
        if let allow { return .allowList(FilePath(allow)) }
        if let tokenKey { return .tokens(FilePath(tokenKey)) }
        return .open
    }
}

/// What a relay takes at most.
struct RelayLimitOptions: ParsableArguments {
    private static let standard = RelayLimits()

    @Option(help: "Whether pipes are forwarded between endpoints that no direct path connects: on or off.")
    var forwarding = OnOff.on

    @Option(help: ArgumentHelp("Bytes a second of one pipe, both ways together; 0 for no bound.", valueName: "bytes"))
    var pipeRate = Int(Self.standard.pipeBytesPerSecond ?? 0)

    @Option(help: ArgumentHelp("Bytes a second of all pipes of a tenant; 0 for no bound.", valueName: "bytes"))
    var tenantRate = Int(Self.standard.tenantBytesPerSecond ?? 0)

    @Option(help: ArgumentHelp("Pipes that one endpoint may ask for.", valueName: "count"))
    var pipesMax = Self.standard.pipesPerEndpointMax

    @Option(help: ArgumentHelp("Signals a second of one endpoint.", valueName: "count"))
    var signalRate = Self.standard.signalsPerSecond

    @Option(help: ArgumentHelp("Bytes of a signal.", valueName: "bytes"))
    var signalSizeMax = Self.standard.signalSizeBytesMax

    @Option(help: ArgumentHelp("Endpoints that one endpoint may watch.", valueName: "count"))
    var watchMax = Self.standard.watchCountMax

    @Option(help: ArgumentHelp("Connections in all.", valueName: "count"))
    var connectionsMax = Self.standard.connectionCountMax

    @Option(help: ArgumentHelp("Connections from one address.", valueName: "count"))
    var connectionsPerAddressMax = Self.standard.connectionsOfAddressMax

    @Option(help: ArgumentHelp("Connections that have not logged in.", valueName: "count"))
    var unauthenticatedMax = Self.standard.unauthenticatedCountMax

    @Option(help: ArgumentHelp("Time from a connection to its login.", valueName: "duration"))
    var loginTimeMax = DurationText(Self.standard.loginTimeMax)

    @Option(help: ArgumentHelp("Time from a pipe's token to both ends being there.", valueName: "duration"))
    var claimTimeMax = DurationText(Self.standard.pipeClaimTimeMax)

    @Option(help: ArgumentHelp("Bytes of a request's line and headers.", valueName: "bytes"))
    var headSizeMax = Self.standard.headSizeBytesMax

    @Option(help: ArgumentHelp("Bytes of a WebSocket frame.", valueName: "bytes"))
    var frameSizeMax = Self.standard.frameSizeBytesMax

    @Option(help: ArgumentHelp("Bytes that may wait for one connection.", valueName: "bytes"))
    var bufferMax = Self.standard.bufferSizeBytesMax

    @Option(help: ArgumentHelp("Bytes that may wait in all pipes together.", valueName: "bytes"))
    var memoryMax = Self.standard.memorySizeBytesMax

    @Option(help: ArgumentHelp("How often connections are asked whether they are there.", valueName: "duration"))
    var pingInterval = DurationText(Self.standard.pingInterval)

    @Option(help: ArgumentHelp("Silence after which a connection is dead.", valueName: "duration"))
    var silenceMax = DurationText(Self.standard.silenceMax)

    var limits: RelayLimits {
        var limits = RelayLimits()
        limits.isForwarding = forwarding == .on
        limits.pipeBytesPerSecond = pipeRate == 0 ? nil : Double(pipeRate)
        limits.tenantBytesPerSecond = tenantRate == 0 ? nil : Double(tenantRate)
        limits.pipesPerEndpointMax = pipesMax
        limits.signalsPerSecond = signalRate
        limits.signalSizeBytesMax = signalSizeMax
        limits.watchCountMax = watchMax
        limits.connectionCountMax = connectionsMax
        limits.connectionsOfAddressMax = connectionsPerAddressMax
        limits.unauthenticatedCountMax = unauthenticatedMax
        limits.loginTimeMax = loginTimeMax.duration
        limits.pipeClaimTimeMax = claimTimeMax.duration
        limits.headSizeBytesMax = headSizeMax
        limits.frameSizeBytesMax = frameSizeMax
        limits.bufferSizeBytesMax = bufferMax
        limits.memorySizeBytesMax = memoryMax
        limits.pingInterval = pingInterval.duration
        limits.silenceMax = silenceMax.duration
        return limits
    }
}

struct RelayServe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run a relay in the foreground.",
        discussion: """
            Serves WebSockets of endpoints at /v1/, and /healthz, until SIGINT or SIGTERM. SIGHUP makes it read the \
            allow-list, the token key and the certificate again. Without --tls-certificate it speaks plain WebSocket, \
            for a proxy in front (--behind-proxy then takes addresses from X-Forwarded-For).

            Endpoints name it by the host of its URL, wss://NAME, and sign that name: say it with --name when the relay \
            listens at all addresses.

            EXAMPLES
              troupe relay serve --listen 0.0.0.0:443 --name relay.example.org --tls-certificate chain.pem \
            --tls-key key.pem --allow /etc/troupe/endpoints
              troupe relay serve --listen 127.0.0.1:7443 --name relay.example.org --behind-proxy \
            --token-key /etc/troupe/relay.pub --metrics 127.0.0.1:9464
              troupe relay serve --listen 127.0.0.1:7443 --open                 for a try
            """)

    @Option(help: ArgumentHelp("Where to listen; port 0 lets the system choose.", valueName: "host:port"))
    var listen: HostPort

    @Option(help: ArgumentHelp("What endpoints call the relay; the host of --listen unless given.", valueName: "host"))
    var name: String?

    @Option(help: ArgumentHelp("The certificate and its chain, PEM.", valueName: "file")) var tlsCertificate: String?
    @Option(help: ArgumentHelp("The certificate's key, PEM.", valueName: "file")) var tlsKey: String?
    @OptionGroup var policy: RelayPolicyOptions

    @Option(help: ArgumentHelp("Where to serve /metrics for Prometheus.", valueName: "host:port"))
    var metrics: HostPort?

    @Flag(help: "Take clients' addresses from the last X-Forwarded-For of the proxy in front.") var behindProxy = false
    @OptionGroup(title: "Bounds") var limits: RelayLimitOptions
    @Flag(help: "Print the readiness line as JSON.") var json = false

    func validate() throws {
        guard (tlsCertificate == nil) == (tlsKey == nil) else {
            throw ValidationError("--tls-certificate and --tls-key belong together")
        }
        guard name != nil || !listen.isAnyAddress else {
            throw ValidationError("--name HOST is missing: endpoints do not call the relay '\(listen.host)'")
        }
    }

    struct Readiness: Encodable {
        var url: String
        /// Absent where only the proxy in front knows its port.
        var endpointURL: String?
        var port: Int
        var metricsPort: Int?
    }

    func run() async throws {
        var configuration = RelayServerConfiguration(
            host: listen.host, port: listen.port, name: name ?? listen.host, policy: policy.policy)
        if let tlsCertificate, let tlsKey {
            configuration.tls = (FilePath(tlsCertificate), FilePath(tlsKey))
        }
        configuration.metrics = metrics.map { ($0.host, $0.port) }
        configuration.isBehindProxy = behindProxy
        configuration.limits = limits.limits
        let terminal = Terminal.standard()
        let json = json
        let (name, isBehindProxy) = (configuration.name, behindProxy)
        let server = RelayServer(configuration) { ready in
            let url = "\(ready.isTLS ? "wss" : "ws")://\(ready.address)"
            let own = isBehindProxy ? nil : Self.endpointURL(of: name, port: ready.port, isTLS: ready.isTLS)
            let row = Readiness(url: url, endpointURL: own, port: ready.port, metricsPort: ready.metricsPort)
            if json { return (try? terminal.print(json: row)) ?? () }
            try? terminal.print("relay       \(Escape.line(url))")
            let given = own ?? "wss://\(name), with the proxy's port if that is not 443"
            try? terminal.print("endpoints   \(Escape.line(given))")
        }
        do {
            try await Foreground.run { try await Self.serve(server) }
        } catch let error as EndpointError {
            throw Failure(error.code == .invalidArgument ? .usage : .unavailable, error.message)
        }
    }

    /// What endpoints are given, if they reach it at this port.
    static func endpointURL(of name: String, port: Int, isTLS: Bool) -> String {
        let host = name.contains(":") ? "[\(name)]" : name
        return "\(isTLS ? "wss" : "ws")://\(host)" + (port == (isTLS ? 443 : 80) ? "" : ":\(port)")
    }

    private static func serve(_ server: RelayServer) async throws {
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await _ in hangups { server.reload() }
            }
            try await server.run()
            group.cancelAll()
        }
    }
}
