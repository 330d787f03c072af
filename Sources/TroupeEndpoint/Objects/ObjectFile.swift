import CBOR
import Foundation
import Synchronization
import SystemPackage
import TroupeStore

/// A copy of an object of another site, whole or in part: a head of 4 KiB, the checksums of all pieces, the pieces.
///
/// A piece is written before its checksum, so what a crash leaves is a piece that is not there, or one that its checksum
/// finds out. The file is sparse. It is opened for each piece, so that many copies take no descriptors. Reading and writing
/// blocks the thread for the time of a megabyte.
final class ObjectFile: Sendable {
    let path: FilePath
    let place: ObjectPlace
    let sizeBytes: Int
    private struct Pieces {
        /// Of the pieces from the first on; 0 stands for one that is not there.
        var checksums: [UInt64]
        /// Those that are there without a gap.
        var count: Int

        init(_ checksums: [UInt64]) {
            self.checksums = checksums
            count = checksums.firstIndex(of: 0) ?? checksums.count
        }

        mutating func set(_ index: Int, _ checksum: UInt64) {
            checksums[index] = checksum
            while count < checksums.count, checksums[count] != 0 { count += 1 }
        }
    }
    private let pieces: Mutex<Pieces>

    private struct Head: Codable {
        var version = 1
        var place: ObjectPlace
        var sizeBytes: Int
    }
    private static let headSizeBytes = 4096
    private static let lengthSizeBytes = 8

    private init(_ path: FilePath, _ head: Head, checksums: [UInt64]) {
        self.path = path
        place = head.place
        sizeBytes = head.sizeBytes
        pieces = Mutex(Pieces(checksums))
    }

    private static func pieceCount(_ sizeBytes: Int) -> Int {
        (sizeBytes + ObjectPiece.sizeBytes - 1) / ObjectPiece.sizeBytes
    }

    // MARK: Making

    /// Replaces what is at the path.
    static func create(_ path: FilePath, for place: ObjectPlace, sizeBytes: Int) throws(EndpointError) -> ObjectFile {
        let head = Head(place: place, sizeBytes: sizeBytes)
        do {
            let body = try CBOREncoder().encode(head)
            var bytes =
                ObjectPiece.encoded(UInt64(body.count)) + body + ObjectPiece.encoded(ObjectPiece.checksum(of: body))
            precondition(bytes.count <= headSizeBytes, "names are bounded")
            bytes += [UInt8](repeating: 0, count: headSizeBytes - bytes.count)
            let file = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .truncate, .closeOnExec], permissions: [.ownerRead, .ownerWrite])
            try file.closeAfter {
                _ = try file.writeAll(bytes)
                try file.resize(to: Int64(dataOffset(sizeBytes)))
            }
        } catch {
            throw EndpointError(.files, "the copy \(path) of object \(place) cannot be made: \(error)")
        }
        return ObjectFile(path, head, checksums: [UInt64](repeating: 0, count: pieceCount(sizeBytes)))
    }

    /// The copy in a file; nil if it is none.
    static func open(_ path: FilePath, sizeBytesMax: Int) -> ObjectFile? {
        guard let file = try? FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow]) else {
            return nil
        }
        defer { try? file.close() }
        guard let start = try? read(file, at: 0, count: headSizeBytes) else { return nil }
        let length = ObjectPiece.decoded(start.prefix(lengthSizeBytes))
        guard length <= UInt64(headSizeBytes - 2 * lengthSizeBytes) else { return nil }
        let body = Array(start.dropFirst(lengthSizeBytes).prefix(Int(length)))
        let sum = ObjectPiece.decoded(start.dropFirst(lengthSizeBytes + body.count).prefix(lengthSizeBytes))
        guard sum == ObjectPiece.checksum(of: body), let head = try? CBORDecoder().decode(Head.self, from: body),
            head.version == 1, (0...sizeBytesMax).contains(head.sizeBytes)
        else { return nil }
        let count = pieceCount(head.sizeBytes)
        guard let table = try? read(file, at: headSizeBytes, count: count * ObjectPiece.checksumSizeBytes) else {
            return nil
        }
        let checksums = (0..<count).map { index in
            ObjectPiece.decoded(
                table[index * ObjectPiece.checksumSizeBytes..<(index + 1) * ObjectPiece.checksumSizeBytes])
        }
        return ObjectFile(path, head, checksums: checksums)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path.string) }

    // MARK: Pieces

    /// Bytes that are there, from the first on without a gap.
    var sizeBytesHere: Int {
        min(pieces.withLock { $0.count } * ObjectPiece.sizeBytes, sizeBytes)
    }

    var isWhole: Bool { sizeBytesHere == sizeBytes }

    func write(_ piece: [UInt8], at offset: Int) throws(EndpointError) {
        precondition(offset.isMultiple(of: ObjectPiece.sizeBytes), "pieces begin where pieces begin")
        let index = offset / ObjectPiece.sizeBytes
        let sum = ObjectPiece.checksum(of: piece)
        do {
            let file = try FileDescriptor.open(path, .writeOnly, options: [.closeOnExec, .noFollow])
            try file.closeAfter {
                _ = try file.writeAll(toAbsoluteOffset: Int64(Self.dataOffset(sizeBytes) + offset), piece)
                _ = try file.writeAll(
                    toAbsoluteOffset: Int64(Self.headSizeBytes + index * ObjectPiece.checksumSizeBytes),
                    ObjectPiece.encoded(sum))
            }
        } catch {
            throw EndpointError(.files, "the copy \(path) of object \(place) cannot be written: \(error)")
        }
        pieces.withLock { $0.set(index, sum) }
    }

    /// Bytes that are there, each piece of them checked.
    func read(_ range: Range<Int>) throws(EndpointError) -> [UInt8] {
        let range = range.clamped(to: 0..<sizeBytesHere)
        guard !range.isEmpty else { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .noFollow])
            defer { try? file.close() }
            for index in range.lowerBound / ObjectPiece.sizeBytes...(range.upperBound - 1) / ObjectPiece.sizeBytes {
                let start = index * ObjectPiece.sizeBytes
                let count = min(ObjectPiece.sizeBytes, sizeBytes - start)
                let piece = try Self.read(file, at: Self.dataOffset(sizeBytes) + start, count: count)
                guard ObjectPiece.checksum(of: piece) == pieces.withLock({ $0.checksums[index] }) else {
                    throw EndpointError(.corrupt, "the copy \(path) of object \(place) is damaged")
                }
                bytes += piece[max(range.lowerBound - start, 0)..<min(range.upperBound - start, count)]
            }
        } catch let error as EndpointError {
            throw error
        } catch {
            throw EndpointError(.files, "the copy \(path) of object \(place) cannot be read: \(error)")
        }
        return bytes
    }

    private static func dataOffset(_ sizeBytes: Int) -> Int {
        let table = pieceCount(sizeBytes) * ObjectPiece.checksumSizeBytes
        return headSizeBytes + (table + headSizeBytes - 1) / headSizeBytes * headSizeBytes
    }

    private static func read(_ file: FileDescriptor, at offset: Int, count: Int) throws -> [UInt8] {
        let bytes = try unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let rest = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[filled..<count])
                let read = try unsafe file.read(fromAbsoluteOffset: Int64(offset + filled), into: rest)
                guard read > 0 else { break }
                filled += read
            }
        }
        guard bytes.count == count else {
            throw EndpointError(.corrupt, "a copy of an object ends at byte \(offset + bytes.count)")
        }
        return bytes
    }
}
