/// The first 32 bytes of an object's file; integers are little-endian.
///
///     0  magic "TRPO"    4  format, 1 or 2    5  three zero bytes
///     8  expiry, ns since 1970, 0 for never    16  payload size    24  checksum of the payload
///
/// The formats differ in the checksum: ``Checksum`` in 1, ``BlockChecksum`` in 2. Files are written in format 2.
struct ObjectFileHeader: Hashable, Sendable {
    static let sizeBytes = 32
    static let expiryOffset = 8
    private static let magic: [UInt8] = [0x54, 0x52, 0x50, 0x4f]

    enum Format: UInt8 {
        case one = 1
        case two = 2
    }

    var format: Format
    /// 0 for never.
    var expiresAt: Int64
    var payloadSizeBytes: Int
    var checksum: UInt64

    func isExpired(at now: Int64) -> Bool { expiresAt != 0 && expiresAt <= now }

    var encoded: [UInt8] {
        Self.magic + [format.rawValue, 0, 0, 0] + Self.bytes(UInt64(bitPattern: expiresAt))
            + Self.bytes(UInt64(payloadSizeBytes))
            + Self.bytes(checksum)
    }

    static func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    /// Reads the head of a file and checks that the file is ours and whole.
    init(of file: PosixFile) throws(StoreError) {
        let bytes = try file.read(at: 0, count: Self.sizeBytes)
        guard bytes.count == Self.sizeBytes, bytes.starts(with: Self.magic), let format = Format(rawValue: bytes[4]),
            bytes[5..<8].allSatisfy({ $0 == 0 })
        else {
            throw StoreError(
                .foreignData, "\(file.path) is no object file of this version; it was left as it is")
        }
        self.format = format
        expiresAt = Int64(bitPattern: Self.integer(bytes[8..<16]))
        checksum = Self.integer(bytes[24..<32])
        let fileSize = try file.status().sizeBytes
        guard let size = Int(exactly: Self.integer(bytes[16..<24])), fileSize - Self.sizeBytes == size else {
            throw StoreError(
                .corrupt, "\(file.path) has not the size its head states; delete it and put the object again")
        }
        payloadSizeBytes = size
    }

    init(format: Format = .two, expiresAt: Int64, payloadSizeBytes: Int, checksum: UInt64) {
        self.format = format
        self.expiresAt = expiresAt
        self.payloadSizeBytes = payloadSizeBytes
        self.checksum = checksum
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}

/// The checksum of files of format 1, which are still read, and what spreads objects over directories.
package enum Checksum {
    /// Four independent lanes of multiply and rotate over 8-byte words, then the tail byte by byte, then the length.
    package static func of(_ bytes: [UInt8]) -> UInt64 {
        bytes.withUnsafeBytes { buffer in
            var lanes: (UInt64, UInt64, UInt64, UInt64) = (seed, seed &+ 1, seed &+ 2, seed &+ 3)
            var offset = 0
            while offset + 32 <= buffer.count {
                lanes.0 = mix(lanes.0, word(buffer, offset))
                lanes.1 = mix(lanes.1, word(buffer, offset + 8))
                lanes.2 = mix(lanes.2, word(buffer, offset + 16))
                lanes.3 = mix(lanes.3, word(buffer, offset + 24))
                offset += 32
            }
            var sum = mix(mix(mix(lanes.0, lanes.1), lanes.2), lanes.3)
            for byte in buffer[offset...] { sum = mix(sum, UInt64(byte)) }
            return mix(sum, UInt64(buffer.count))
        }
    }

    private static let seed: UInt64 = 0x7472_6f75_7065_0001

    @inline(__always)
    private static func word(_ buffer: UnsafeRawBufferPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inline(__always)
    private static func mix(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        let product = (sum ^ word) &* 0x9e37_79b9_7f4a_7c15
        return product ^ (product >> 29)
    }
}
