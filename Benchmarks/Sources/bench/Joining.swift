import Logging
import Troupe

extension Troupe {
    /// A caller that says nothing but errors: many rows call before there is a worker, and would be told so each time.
    static func joining(_ url: String) async throws -> Troupe {
        var configuration = TroupeConfiguration()
        configuration.logger.logLevel = .error
        return try await connect(to: url, configuration: configuration)
    }
}
