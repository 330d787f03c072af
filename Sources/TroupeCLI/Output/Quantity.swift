import FoundationEssentials
import TroupeCore

/// Durations, times and sizes as people read them.
enum Quantity {
    /// `430 ms`, `12 s`, `3 min`, `5 h`, `2 d`; nothing is negative.
    static func duration(_ duration: Duration) -> String {
        let milliseconds = max(0, duration.wholeMilliseconds)
        switch milliseconds {
        case ..<1000: return "\(milliseconds) ms"
        case ..<120_000: return "\(milliseconds / 1000) s"
        case ..<7_200_000: return "\(milliseconds / 60_000) min"
        case ..<172_800_000: return "\(milliseconds / 3_600_000) h"
        default: return "\(milliseconds / 86_400_000) d"
        }
    }

    /// Three digits of a round trip: `0.412 ms`.
    static func roundTrip(_ duration: Duration) -> String {
        "\(fixed(milliseconds(duration), digits: 3)) ms"
    }

    static func milliseconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) * 1e3 + Double(duration.components.attoseconds) / 1e15
    }

    /// `812 B`, `4.2 KiB`, `17 MiB`.
    static func bytes(_ count: Int) -> String {
        let units = ["KiB", "MiB", "GiB", "TiB"]
        guard count >= 1024 else { return "\(count) B" }
        var value = Double(count) / 1024
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(value < 10 ? fixed(value, digits: 1) : fixed(value, digits: 0)) \(units[unit])"
    }

    private static func fixed(_ value: Double, digits: Int) -> String {
        let scale = [1.0, 10, 100, 1000][digits]
        let scaled = Int64((value * scale).rounded())
        guard digits > 0 else { return "\(scaled)" }
        let fraction = String(scaled % Int64(scale))
        return "\(scaled / Int64(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// `2026-01-31T12:00:00.250Z`.
    static func time(_ time: Timestamp) -> String {
        let date = Date(timeIntervalSince1970: Double(time.milliseconds) / 1000)
        return date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
