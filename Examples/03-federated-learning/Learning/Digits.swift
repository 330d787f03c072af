import CDigits

/// Labelled images of handwritten digits, 8 by 8 pixels.
public struct Digits: Sendable, Hashable {
    /// The number of pixels of an image.
    public static let pixelCount = 64
    /// The number of digits.
    public static let classCount = 10

    /// Pixels from 0 (white) to 1 (black), `pixelCount` for each image, one image after the other.
    public private(set) var pixels: [Double] = []
    /// The digit that each image shows.
    public private(set) var labels: [Int] = []

    /// The number of images.
    public var count: Int { labels.count }

    /// Reads the data set that is compiled into the program: 1797 images.
    ///
    /// - Throws: `DigitsError` when a line is not an image and its label.
    public static func load() throws(DigitsError) -> Digits {
        var size = 0
        let bytes = troupe_digits_csv(&size)
        return try Digits(csv: UnsafeBufferPointer(start: bytes, count: size))
    }

    /// Reads lines of 64 pixels from 0 to 16 and a label from 0 to 9.
    ///
    /// - Throws: `DigitsError` when a line is anything else.
    public init(csv: some Sequence<UInt8>) throws(DigitsError) {
        var line: [Int] = []
        var value: Int?
        var number = 1
        for byte in csv {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let read = (value ?? 0) * 10 + Int(byte - UInt8(ascii: "0"))
                guard read <= 16 else { throw DigitsError(line: number) }
                value = read
            case UInt8(ascii: ","), UInt8(ascii: "\n"):
                guard let read = value else { throw DigitsError(line: number) }
                line.append(read)
                value = nil
                if byte == UInt8(ascii: "\n") {
                    try append(line, number: number)
                    line.removeAll(keepingCapacity: true)
                    number += 1
                }
            default: throw DigitsError(line: number)
            }
        }
        guard line.isEmpty, value == nil else { throw DigitsError(line: number) }
    }

    private init() {}

    private mutating func append(_ line: [Int], number: Int) throws(DigitsError) {
        guard line.count == Self.pixelCount + 1, line[Self.pixelCount] < Self.classCount else {
            throw DigitsError(line: number)
        }
        pixels += line.prefix(Self.pixelCount).map { Double($0) / 16 }
        labels.append(line[Self.pixelCount])
    }

    /// A pixel that is not white.
    struct Ink {
        let index: Int
        let value: Double
    }

    /// The pixels of an image that are not white: about half of them, and to the model the others are nothing.
    func ink(of image: Int) -> [Ink] {
        let start = image * Self.pixelCount
        return (0..<Self.pixelCount).compactMap { index in
            let value = pixels[start + index]
            return value == 0 ? nil : Ink(index: index, value: value)
        }
    }

    /// The images at the given places, in that order.
    public func selecting(_ indices: some Sequence<Int>) -> Digits {
        var selected = Digits()
        for index in indices {
            selected.pixels += pixels[(index * Self.pixelCount)..<((index + 1) * Self.pixelCount)]
            selected.labels.append(labels[index])
        }
        return selected
    }

    /// The same split every time: four fifths to learn from, and one fifth that no training ever sees.
    public func split() -> (training: Digits, heldOut: Digits) {
        var random = SplitMix64(seed: 1998)
        let order = random.permutation(of: count)
        let heldOut = count / 5
        return (selecting(order.dropFirst(heldOut)), selecting(order.prefix(heldOut)))
    }

    /// The part of client `index` of `count` clients: every `count`-th image.
    public func shard(_ index: Int, of count: Int) -> Digits {
        precondition(count > 0 && (0..<count).contains(index), "A shard is one of its count.")
        return selecting(stride(from: index, to: self.count, by: count))
    }
}

/// A line of the data set is not 64 pixels and a label.
public struct DigitsError: Error, Hashable, CustomStringConvertible {
    /// The number of the line, from 1.
    public let line: Int

    public var description: String { "Line \(line) of the digits is not 64 pixels (0 to 16) and a label (0 to 9)." }
}
