/// What a relay counts, for Prometheus.
struct RelayMetrics: Sendable {
    var loginCount = 0
    var signalCount = 0
    var pipesOpenedCount = 0
    var refusals: [RelayRefusal: Int] = [:]
    /// By tenant. Tenants are named by whoever runs the relay, so there are not many.
    var forwardedBytes: [String: Int] = [:]

    /// The text format 0.0.4 of Prometheus.
    func text(_ machine: RelayMachine, bufferedBytes: Int) -> String {
        var text = ""
        func family(_ name: String, _ kind: String, _ help: String, _ samples: [(labels: String, value: Int)]) {
            text += "# HELP troupe_relay_\(name) \(help)\n# TYPE troupe_relay_\(name) \(kind)\n"
            for sample in samples { text += "troupe_relay_\(name)\(sample.labels) \(sample.value)\n" }
        }
        family("connections", "gauge", "Connections now.", [("", machine.connections.count)])
        family(
            "unauthenticated_connections", "gauge", "Connections that have not logged in.",
            [("", machine.strangerCount)])
        family("endpoints", "gauge", "Endpoints that are present.", [("", machine.present.count)])
        family("logins_total", "counter", "Logins.", [("", loginCount)])
        family(
            "refusals_total", "counter", "What was refused, by reason.",
            RelayRefusal.allCases.map { ("{reason=\"\($0.rawValue)\"}", refusals[$0, default: 0]) })
        family("signals_total", "counter", "Signals passed on.", [("", signalCount)])
        family("pipes_opened_total", "counter", "Pipes that both ends came to.", [("", pipesOpenedCount)])
        family("pipes_open", "gauge", "Pipes that forward now.", [("", machine.pipes.values.count { $0.isOpen })])
        family("buffered_bytes", "gauge", "Bytes that wait to be written.", [("", bufferedBytes)])
        family(
            "forwarded_bytes_total", "counter", "Bytes that pipes have forwarded, by tenant.",
            forwardedBytes.sorted { $0.key < $1.key }.map { ("{tenant=\"\($0.key)\"}", $0.value) })
        return text
    }
}
