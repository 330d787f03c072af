import ArgumentParser
import SystemPackage
import TroupeEndpoint

/// Connects to a peer that runs the same command, then serves its streams, or works through a list of tasks.
struct PeerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "peer")

    @Option(help: "The file of the endpoint's key.") var key: String
    @Option(help: "The peer's id.") var peer: String
    @Option var rendezvous: HostAndPort
    @Option var room: String
    @Option var stun: HostAndPort?
    @Option(help: "HOST:PORT/udp or HOST:PORT/tcp, of the lab's user.") var turn: [TURNArgument] = []
    @Flag var relayOnly = false
    @Option(help: "Local addresses; all if none is named.") var local: [String] = []
    @Option(help: "Seconds to try.") var limit = 15
    @Argument(help: "What to do: first-byte, echo:COUNT, bulk:MB, streams:COUNT, latency:MB, hold. Nothing: serve.")
    var tasks: [WorkItem] = []

    func run() async throws {
        let key = try EndpointKey.load(from: FilePath(key))
        let peer = try EndpointID(parsing: peer)
        let channel = try await RendezvousEnd.enter(room, at: rendezvous)
        let start = ContinuousClock.now
        let connection: QUICConnection
        do {
            connection = try await HolePunch.connect(
                to: peer, key: key, configuration: iceConfiguration,
                signalling: Signalling(send: channel.send, incoming: channel.incoming))
        } catch {
            say("failed \(error.code.rawValue) \((ContinuousClock.now - start).inMilliseconds) \(error)")
            throw ExitCode(1)
        }
        say("connected \((ContinuousClock.now - start).inMilliseconds) \(connection.path)")
        if tasks.isEmpty {
            await Service.run(connection)
            say("over \(await connection.ending?.message ?? "without a reason")")
        } else {
            let work = Work(connection: connection, start: start)
            do {
                for task in tasks { try await work.run(task) }
            } catch {
                say("failed \(error)")
                throw ExitCode(1)
            }
            say("done \(connection.path)")
            await connection.close()
        }
    }

    private var iceConfiguration: ICEConfiguration {
        var configuration = ICEConfiguration()
        if let stun { configuration.stun = [ServerAddress(host: stun.host, port: UInt16(stun.port))] }
        configuration.turn = turn.map(\.server)
        configuration.relayOnly = relayOnly
        configuration.localAddresses = local
        configuration.limit = .seconds(limit)
        return configuration
    }
}

/// A TURN server with the lab's user.
struct TURNArgument: ExpressibleByArgument {
    let server: TURNServer

    init?(argument: String) {
        let parts = argument.split(separator: "/")
        guard parts.count == 2, let address = HostAndPort(argument: String(parts[0])),
            let transport = TURNServer.Transport(rawValue: String(parts[1]))
        else { return nil }
        server = TURNServer(
            ServerAddress(host: address.host, port: UInt16(address.port)), user: "natlab", password: "natlab-secret",
            transport: transport)
    }
}
