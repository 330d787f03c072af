@testable import TroupeEndpoint

/// One side of a path that was found, whatever keys its peer has.
struct PathSide {
    let driver: PathDriver
    let events: AsyncStream<PathEvent>
    let credentials: ICECredentials

    init(controlling: Bool, peer: EndpointID) async throws {
        let (events, feed) = AsyncStream<PathEvent>.makeStream(bufferingPolicy: .bufferingOldest(256))
        self.events = events
        driver = PathDriver(peer: peer) { feed.yield($0) }
        var configuration = ICEConfiguration()
        configuration.localAddresses = ["127.0.0.1"]
        credentials = try await driver.begin(
            controlling: controlling, servers: ICEServers(), configuration: configuration)
    }

    /// Candidates until there are no more.
    func candidates() async -> [String] {
        var found: [String] = []
        for await event in events {
            if case .candidate(let line) = event { found.append(line) }
            if event == .gathered { break }
        }
        return found
    }

    func wait(for isIt: (PathEvent) -> Bool) async -> PathEvent? {
        for await event in events where isIt(event) { return event }
        return nil
    }

    func close() async { await driver.close(EndpointError(.closed, "over")) }
}
