/// One workload, and the lines it gives.
struct Row: Sendable {
    /// The names of its lines; `--only` selects by any of them.
    let names: [String]
    let measure: @Sendable (Lab) async throws -> [Measurement]

    init(_ names: String..., measure: @escaping @Sendable (Lab) async throws -> [Measurement]) {
        self.names = names
        self.measure = measure
    }

    func isSelected(by prefixes: [String]) -> Bool {
        prefixes.isEmpty || names.contains { name in prefixes.contains { name.hasPrefix($0) } }
    }

    static let all: [Row] =
        sequentialCalls + callsInFlight + tells + spawns + activations + echoes + memory + bare

    /// One way to each backend, for rows that compare the backends.
    static let backends: [(name: String, place: Lab.Place)] = [("redis", .redisTCP), ("broker", .brokerIPC)]
}
