/// One workload, and the lines it gives.
struct Row: Sendable {
    let name: String
    let measure: @Sendable (Lab) async throws -> [Measurement]

    static let all: [Row] = sequentialCalls + callsInFlight + tells + spawns + echoes
}
