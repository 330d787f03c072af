/// How likely what goes wrong between nodes and the exchange; in parts of a thousand.
package struct SimulatedFaults: Sendable {
    package var lostRequests = 0
    package var lostAnswers = 0
    package var duplicates = 0
    package var slow = 0
    /// The longest ordinary delay of one way, in milliseconds, and that of a slow one.
    package var delayMax = 3
    package var slowMax = 400
    /// After what time a link takes an answer for lost, in milliseconds, and how often it asks again before it says so.
    package var patience = 300
    package var retries = 1

    package init() {}

    /// Nothing goes wrong.
    package static let none = SimulatedFaults()

    /// What a seed gives: some runs are calm, some rough.
    package static func drawn(_ random: inout SplitMix64) -> SimulatedFaults {
        var faults = SimulatedFaults()
        let roughness = random.pick([0, 5, 20, 60, 120])
        faults.lostRequests = random.number(0...roughness)
        faults.lostAnswers = random.number(0...roughness)
        faults.duplicates = random.number(0...roughness)
        faults.slow = random.number(0...roughness)
        faults.delayMax = random.pick([0, 1, 3, 20])
        faults.slowMax = random.pick([50, 400, 3000])
        faults.patience = random.pick([50, 300, 2000])
        faults.retries = random.number(0...3)
        return faults
    }
}
