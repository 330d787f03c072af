#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A small neural network that reads digits: 64 pixels, 32 rectified units, 10 digits.
///
/// The weights are a plain array, so that they can travel: for each unit its 64 weights and a bias, then for each digit
/// its 32 weights and a bias. Everything is deterministic: the same inputs give the same bits, in any process of one kind
/// of machine.
public enum DigitsModel {
    private static let unitCount = 32
    private static let unitStride = Digits.pixelCount + 1
    private static let digitStride = unitCount + 1
    private static let digitsStart = unitCount * unitStride

    /// The number of weights: 2410, that is 19 280 bytes.
    public static let weightCount = digitsStart + Digits.classCount * digitStride

    /// The weights that learning starts from: the same small numbers every time, without which all units would learn
    /// the same.
    public static let initialWeights: [Double] = {
        var random = SplitMix64(seed: 64)
        return (0..<weightCount).map { _ in (random.nextFraction() - 0.5) / 4 }
    }()

    /// How a client learns from its shard.
    public struct Training: Sendable, Hashable, Codable {
        /// How often each image is used.
        public var epochs: Int
        /// The step of gradient descent for one image.
        public var learningRate: Double

        public init(epochs: Int = 2, learningRate: Double = 0.1) {
            self.epochs = epochs
            self.learningRate = learningRate
        }
    }

    /// Stochastic gradient descent, image by image, in an order that follows from `seed`.
    ///
    /// - Returns: the weights after training.
    public static func train(
        weights: [Double], on shard: Digits, training: Training = Training(), seed: UInt64
    ) -> [Double] {
        precondition(weights.count == weightCount, "The model has \(weightCount) weights.")
        var random = SplitMix64(seed: seed)
        var weights = weights
        for _ in 0..<training.epochs {
            for image in random.permutation(of: shard.count) {
                step(&weights, shard.ink(of: image), label: shard.labels[image], rate: training.learningRate)
            }
        }
        return weights
    }

    /// The mean of the clients' weights, added up in the order of the clients.
    public static func average(_ clients: [[Double]]) -> [Double] {
        precondition(!clients.isEmpty && clients.allSatisfy { $0.count == weightCount }, "There is nothing to average.")
        var sum = clients[0]
        for client in clients.dropFirst() {
            for index in sum.indices { sum[index] += client[index] }
        }
        return sum.map { $0 / Double(clients.count) }
    }

    /// The share of images, from 0 to 1, whose digit the model names.
    public static func accuracy(weights: [Double], on images: Digits) -> Double {
        precondition(weights.count == weightCount, "The model has \(weightCount) weights.")
        guard images.count > 0 else { return 0 }
        let right = (0..<images.count).count { image in
            let scores = scores(weights, units(weights, images.ink(of: image)))
            return scores.indices.max { scores[$0] < scores[$1] } == images.labels[image]
        }
        return Double(right) / Double(images.count)
    }

    /// One step against the gradient of the cross-entropy for one image.
    private static func step(_ weights: inout [Double], _ ink: [Digits.Ink], label: Int, rate: Double) {
        let units = units(weights, ink)
        let scores = scores(weights, units)
        let highest = scores.max() ?? 0
        let powers = scores.map { exp($0 - highest) }
        let total = powers.reduce(0, +)
        var blame = [Double](repeating: 0, count: unitCount)
        for digit in 0..<Digits.classCount {
            let change = rate * (powers[digit] / total - (digit == label ? 1 : 0))
            let row = digitsStart + digit * digitStride
            for unit in 0..<unitCount {
                blame[unit] += change * weights[row + unit]
                weights[row + unit] -= change * units[unit]
            }
            weights[row + unitCount] -= change
        }
        for unit in 0..<unitCount where units[unit] > 0 {
            let row = unit * unitStride
            for pixel in ink { weights[row + pixel.index] -= blame[unit] * pixel.value }
            weights[row + Digits.pixelCount] -= blame[unit]
        }
    }

    private static func units(_ weights: [Double], _ ink: [Digits.Ink]) -> [Double] {
        (0..<unitCount).map { unit in
            let row = unit * unitStride
            var sum = weights[row + Digits.pixelCount]
            for pixel in ink { sum += weights[row + pixel.index] * pixel.value }
            return max(0, sum)
        }
    }

    private static func scores(_ weights: [Double], _ units: [Double]) -> [Double] {
        (0..<Digits.classCount).map { digit in
            let row = digitsStart + digit * digitStride
            var sum = weights[row + unitCount]
            for unit in 0..<unitCount { sum += weights[row + unit] * units[unit] }
            return sum
        }
    }
}
