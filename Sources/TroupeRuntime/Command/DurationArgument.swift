public import ArgumentParser
import TroupeCore

/// A duration on a command line: a number and `ms`, `s`, `m` or `h`.
public struct DurationArgument: ExpressibleByArgument, Sendable {
    public let duration: Duration

    public init(_ duration: Duration) { self.duration = duration }

    public init?(argument: String) {
        let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
        for (suffix, seconds) in units where argument.hasSuffix(suffix) {
            let number = argument.dropLast(suffix.count)
            guard let value = Double(number), value.isFinite, value >= 0, value <= 1e9 else { continue }
            duration = .milliseconds(Int64((value * seconds * 1000).rounded()))
            return
        }
        return nil
    }

    public var defaultValueDescription: String {
        let milliseconds = duration.wholeMilliseconds
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}
