import ArgumentParser

struct RelayGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay", abstract: "Run a relay for endpoints, and make tokens for it.",
        discussion: """
            A relay lets the endpoints of sites find each other, and forwards sealed bytes between those that no direct \
            path connects. It keeps nothing.

            EXAMPLES
              troupe relay serve --listen 0.0.0.0:443 --name relay.example.org --tls-certificate chain.pem \
            --tls-key key.pem --allow endpoints
              troupe relay token --token-key relay.key --tenant physics --expires 30d
            """,
        subcommands: [RelayServe.self, RelayTokenCommand.self])
}
