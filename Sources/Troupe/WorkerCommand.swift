public import ArgumentParser
import Logging
import ServiceLifecycle
public import TroupeRuntime
import UnixSignals

/// The actor types that a program can host.
public protocol ActorTypes {
    static var all: [any StatefulActor.Type] { get }
}

/// `my-app worker …`: makes a program a worker for its own actor types.
///
/// ```swift
/// enum MyTypes: ActorTypes { static let all: [any StatefulActor.Type] = [Counter.self] }
/// @main struct MyApp: AsyncParsableCommand {
///     static let configuration = CommandConfiguration(subcommands: [WorkerCommand<MyTypes>.self])
/// }
/// ```
public struct WorkerCommand<Types: ActorTypes>: AsyncParsableCommand {
    public static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "worker", abstract: "Host actors of this program.",
            discussion: """
                Leases actors that have work from the exchange, runs their messages and commits them. SIGTERM and SIGINT \
                make it finish what runs, give back the rest and leave; a second one ends it at once. Any number may run, \
                anywhere that reaches the exchange.

                Hosts: \(Types.all.map { $0.wireName }.sorted().joined(separator: ", "))
                """)
    }

    @OptionGroup public var options: WorkerOptions

    public init() {}

    public func run() async throws {
        ProgramMemory.keepFreedArrays()
        let configuration = try options.configuration(types: Types.all)
        let troupe = try await Troupe.connect(to: options.exchange.url)
        let worker = try Worker(troupe, configuration)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: worker, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "troupe.worker")))
        SecondSignal.endsAtOnce()
        do {
            try await group.run()
        } catch {
            await troupe.close()
            throw error
        }
        await troupe.close()
    }
}
