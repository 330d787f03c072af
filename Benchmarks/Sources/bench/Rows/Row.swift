/// One workload, and the lines it gives.
struct Row: Sendable {
    /// When it runs.
    enum Extent: Sendable {
        case always
        /// It takes minutes: not with `--quick`.
        case long
        /// It measures something else than Troupe: only with `--peers`.
        case peer
    }

    /// The names of its lines; `--only` selects by any of them.
    let names: [String]
    let extent: Extent
    let measure: @Sendable (Lab) async throws -> [Measurement]

    init(_ names: String..., extent: Extent = .always, measure: @escaping @Sendable (Lab) async throws -> [Measurement])
    {
        self.init(names, extent: extent, measure: measure)
    }

    init(_ names: [String], extent: Extent = .always, measure: @escaping @Sendable (Lab) async throws -> [Measurement])
    {
        self.names = names
        self.extent = extent
        self.measure = measure
    }

    func isSelected(by prefixes: [String], quick: Bool, peers: Bool) -> Bool {
        switch extent {
        case .always: break
        case .long: if quick { return false }
        case .peer: if !peers { return false }
        }
        return prefixes.isEmpty || names.contains { name in prefixes.contains { name.hasPrefix($0) } }
    }

    /// Its lines in the list of all rows.
    var help: [String] {
        let when =
            switch extent {
            case .always: ""
            case .long: "  (not with --quick)"
            case .peer: "  (with --peers)"
            }
        return names.map { "  \($0)\(when)" }
    }

    static let all: [Row] = groups.flatMap { $0 }

    private static let groups: [[Row]] = [
        sequentialCalls, mailboxCalls, callsFromArrivals, callsInFlight, mailboxCallsInFlight, callsToMany, chains,
        tells,
        mailboxes,
        spawns, activations, echoes, echoesByFile, memory, dormantMemory, exchangeMemory, states, workers, weak,
        queued, dormant, bare, speeds, peers,
    ]

    /// One way to each backend, for rows that compare the backends.
    static let backends: [(name: String, place: Lab.Place)] = [("redis", .redisTCP), ("broker", .brokerIPC)]

    /// How many of a thing, in a row's name.
    static func label(_ number: Int) -> String {
        switch number {
        case 1_000_000...: "\(number / 1_000_000)M"
        case 1_000...: "\(number / 1_000)k"
        default: "\(number)"
        }
    }
}
