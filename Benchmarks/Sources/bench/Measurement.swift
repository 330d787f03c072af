import Foundation
import Histogram

/// Latencies of one thing, in a histogram of high dynamic range.
struct Latencies: Sendable {
    private var histogram = Histogram<UInt64>(
        highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    private(set) var count = 0

    mutating func record(nanoseconds: Int64) {
        histogram.record(UInt64(max(0, nanoseconds)))
        count += 1
    }

    mutating func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        record(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    mutating func add(_ other: Latencies) {
        for bucket in other.histogram.recordedValues() {
            histogram.record(bucket.value, count: bucket.count)
        }
        count += other.count
    }

    /// In microseconds.
    func percentile(_ percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / 1000 }
}

/// One line of the table.
struct Measurement: Sendable, Codable {
    var name: String
    var metric: String
    var unit: String
    var value: Double
    /// What the floor of the same run gives, in the same unit.
    var floor: Double?
    /// How far above the floor: of a rate, how many times less.
    var ratio: Double?

    init(_ name: String, _ metric: String, unit: String, _ value: Double, floor: Double? = nil) {
        self.name = name
        self.metric = metric
        self.unit = unit
        self.value = value
        self.floor = floor
        ratio = floor.map { Self.growing.contains(unit) ? $0 / value : value / $0 }
    }

    /// Units of which more is better: rates, and the efficiency that has no unit.
    private static let growing: Set<String> = ["1/s", "GB/s", "1"]

    /// Each row has all six fields: what it does not have is null.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(metric, forKey: .metric)
        try container.encode(unit, forKey: .unit)
        try container.encode(value, forKey: .value)
        try container.encode(floor, forKey: .floor)
        try container.encode(ratio, forKey: .ratio)
    }

    /// The usual two lines of a latency.
    static func latency(_ name: String, _ latencies: Latencies, floor: Latencies) -> [Measurement] {
        [50.0, 99.0].map { percentile in
            Measurement(
                name, "p\(Int(percentile))", unit: "µs", latencies.percentile(percentile),
                floor: floor.percentile(percentile))
        }
    }
}

struct Table {
    let rows: [Measurement]
    init(_ rows: [Measurement]) { self.rows = rows }

    var markdown: String {
        let lines = rows.map { row in
            let cells = [
                row.name, row.metric, Self.number(row.value), row.unit, row.floor.map(Self.number) ?? "–",
                row.ratio.map { String(format: "%.2f", $0) } ?? "–",
            ]
            return "| " + cells.joined(separator: " | ") + " |"
        }
        return (["| name | metric | value | unit | floor | ratio |", "|---|---|---|---|---|---|"] + lines).joined(
            separator: "\n")
    }

    var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(rows)
        }
    }

    private static func number(_ value: Double) -> String { String(format: value < 10 ? "%.2f" : "%.0f", value) }
}
