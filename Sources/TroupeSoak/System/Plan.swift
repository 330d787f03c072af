import TroupeTesting

/// What a caller does, derived from the seed alone: a restarted caller knows it again without having noted it.
struct Plan: Sendable {
    enum Kind: Hashable, Sendable {
        case call
        case tell
        /// So many one-way messages in a row, each stored before the next is sent.
        case burst(Int)
        case fail(telling: String)
        case chain([String])
        case fan([String])
        case data(Int)
        case produce(Int)
        case remind(milliseconds: Int)
        case lend(to: String)
        case future(of: String)
        /// On an object that other lanes use at the same time.
        case shared(SharedOperation)

    }

    struct Operation: Hashable, Sendable {
        /// From 1, within its lane.
        var index: Int
        var target: String
        /// Of all operations of the lane on this target.
        var step: Step
        var kind: Kind
        /// The id under which the call is made, and made again.
        var callID: String
        /// Where the messages of a burst are counted; there are six numbers for each operation.
        func burstStep(_ place: Int) -> Step { Step(stream: step.stream + "~burst", number: step.number * 6 + place) }
        /// Of the second call of a future.
        var futureID: String { callID + "f" }
        /// Where the future's own call is counted.
        var futureStep: Step { Step(stream: step.stream + "~future", number: step.number) }
    }

    /// One sender: one operation at a time.
    let lane: String
    private let actors: [String]
    private let run: String
    private var random: SplitMix64
    private var counts: [String: Int] = [:]
    private var index = 0

    /// - Parameter run: makes ids differ from those of other soaks on the same exchange.
    init(lane: String, seed: UInt64, run: String, actors: [String]) {
        self.lane = lane
        self.run = run
        self.actors = actors
        random = SplitMix64(seed: lane.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
    }

    mutating func next() -> Operation {
        index += 1
        // So few actors that several lanes are at one of them at a time.
        let isShared = random.chance(12)
        let target = random.pick(isShared ? Array(actors.prefix(3)) : actors)
        let kind = isShared ? .shared(.drawn(&random)) : kind(target)
        counts[target, default: 0] += 1
        let step = Step(stream: "\(lane)>\(target)", number: counts[target] ?? 1)
        return Operation(index: index, target: target, step: step, kind: kind, callID: "\(run)-\(lane)-\(index)")
    }

    private mutating func kind(_ target: String) -> Kind {
        switch random.number(0...99) {
        case 0..<40: return .call
        case 40..<50: return .tell
        case 50..<55: return .burst(random.number(2...6))
        case 55..<61: return .fail(telling: random.pick(actors))
        case 61..<74: return .chain(above(target, random.number(1...3)))
        case 74..<82: return .fan((0..<random.number(1...4)).map { _ in random.pick(actors) })
        case 82..<86: return .data(random.number(13_000...20_000))
        case 86..<87: return .produce(14_000)
        case 87..<91: return .remind(milliseconds: random.number(1...3000))
        case 91..<95: return .lend(to: random.pick(actors))
        default: return above(target, 1).first.map { .future(of: $0) } ?? .call
        }
    }

    /// Actors that come after the target in one order of all, in that order: whoever waits for another waits for a later one,
    /// so that no two chains wait for each other.
    private mutating func above(_ target: String, _ count: Int) -> [String] {
        guard let index = actors.firstIndex(of: target) else { return [] }
        let later = Array(actors.indices.dropFirst(index + 1))
        return later.shuffled(using: &random).prefix(count).sorted().map { actors[$0] }
    }
}
