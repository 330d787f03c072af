import ArgumentParser
import FoundationEssentials
import SystemPackage
import TroupeEndpoint

struct RelayTokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make a token that lets an endpoint log in at a relay.",
        discussion: """
            The key is a secret that the relay knows too (openssl rand -hex 32), or an Ed25519 key of which the relay \
            has the public half (openssl genpkey -algorithm ed25519; openssl pkey -pubout). The token is a JSON Web \
            Token; whoever holds it can log in until it expires, so give it an endpoint.

            EXAMPLES
              troupe relay token --token-key relay.key --tenant physics --endpoint ID --expires 30d
              troupe relay token --token-key relay.key --tenant physics > token
            """)

    @Option(help: ArgumentHelp("The key that signs.", valueName: "file")) var tokenKey: String
    @Option(help: "The tenant that it lets into.") var tenant: String
    @Option(help: ArgumentHelp("The only endpoint that it lets in; whoever has it unless given.", valueName: "id"))
    var endpoint: String?
    @Option(help: ArgumentHelp("How long it is good.", valueName: "duration"))
    var expires = DurationText(.seconds(30 * 86_400))
    @Flag(help: "Print JSON.") var json = false

    func validate() throws {
        guard expires.duration > .zero else { throw ValidationError("--expires takes more than nothing") }
    }

    struct Row: Encodable {
        var token: String
        var tenant: String
        var endpoint: String?
        var expiresSeconds: Int64
    }

    func run() async throws {
        let expiry = Int64(Date().timeIntervalSince1970) + expires.duration.components.seconds
        let token: String
        do throws(EndpointError) {
            let id = try endpoint.map { text throws(EndpointError) in try EndpointID(parsing: text) }
            token = try await RelayTokenKeys(path: FilePath(tokenKey))
                .token(tenant: tenant, endpoint: id, expires: Double(expiry))
        } catch {
            throw Failure(error.code == .files ? .unavailable : .usage, error.message)
        }
        let terminal = Terminal.standard()
        if json {
            try terminal.print(
                json: Row(token: token, tenant: tenant, endpoint: endpoint, expiresSeconds: expiry))
        } else {
            try terminal.print(token)
        }
    }
}
