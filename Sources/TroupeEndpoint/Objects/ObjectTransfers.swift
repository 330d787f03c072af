import Crypto
import Foundation
import Logging
import Synchronization
import SystemPackage
import TroupeStore

/// The copies of other sites' objects at an endpoint: made once for all who read, bounded in all, the least lately read go
/// first. A crash leaves copies in part, which are gone on with.
final class ObjectTransfers: Sendable {
    private let options: ObjectCopies
    private let logger: Logger
    private let transfers: Mutex<[ObjectPlace: ObjectTransfer]>
    private let received = Atomic<Int>(0)

    private static let suffix = ".copy"
    private static let sweepPause = Duration.seconds(30)
    /// What was asked for so lately is not taken away.
    private static let idleTimeMin = Duration.seconds(60)
    /// Objects that are known here, those included of which there is no copy: more are read without one.
    private static let knownMax = 4096

    init(_ options: ObjectCopies, logger: Logger) throws(EndpointError) {
        self.options = options
        self.logger = logger
        transfers = Mutex([:])
        do {
            try FileManager.default.createDirectory(
                atPath: options.directory.string, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            for name in try FileManager.default.contentsOfDirectory(atPath: options.directory.string) { adopt(name) }
        } catch {
            throw EndpointError(.files, "the directory \(options.directory) cannot be used for objects: \(error)")
        }
    }

    /// Bytes that were fetched since the start.
    var receivedBytes: Int { received.load(ordering: .relaxed) }

    /// Takes over what an earlier process has left.
    private func adopt(_ name: String) {
        let path = options.directory.appending(name)
        let used = transfers.withLock { $0.values.reduce(0) { $0 + $1.reservedBytes } }
        let isFull = transfers.withLock { $0.count } >= options.countMax
        guard name.hasSuffix(Self.suffix), !isFull,
            let file = ObjectFile.open(path, sizeBytesMax: options.sizeBytesMax - used),
            path == self.path(of: file.place)
        else {
            try? FileManager.default.removeItem(atPath: path.string)
            return
        }
        transfers.withLock { $0[file.place] = make(file.place, file) }
    }

    private func path(of place: ObjectPlace) -> FilePath {
        let digest = SHA256.hash(data: Array("\(place)".utf8))
        let name = digest.map { byte in String(byte >> 4, radix: 16) + String(byte & 15, radix: 16) }.joined()
        return options.directory.appending(name + Self.suffix)
    }

    private func make(_ place: ObjectPlace, _ file: ObjectFile?) -> ObjectTransfer {
        ObjectTransfer(place, file: file, logger: logger) { [weak self] size throws(EndpointError) in
            guard let self else { throw EndpointError(.closed, "the endpoint is going") }
            try self.makeRoom(for: size, except: place)
            return try ObjectFile.create(self.path(of: place), for: place, sizeBytes: size)
        } onPiece: { [weak self] count in
            self?.received.wrappingAdd(count, ordering: .relaxed)
        }
    }

    // MARK: Reading

    /// - Parameter isWhole: whether the reader wants all of the object, so that a copy is worth its while.
    /// - Returns: nil if the range is to be read without a copy.
    func read(
        _ place: ObjectPlace, _ range: Range<Int>, isWhole: Bool, of peer: Peer
    ) async throws(EndpointError) -> LocalAnswer? {
        do throws(StoreError) {
            try ObjectName.validate(storeName: place.store)
            try ObjectName.validate(key: place.key)
        } catch {
            throw EndpointError(.invalidArgument, error.message)
        }
        let known = transfers.withLock { transfers -> ObjectTransfer? in
            if let known = transfers[place], !known.isOver { return known }
            guard isWhole, options.sizeBytesMax > 0, transfers.count < Self.knownMax || transfers[place] != nil else {
                return nil
            }
            let new = make(place, nil)
            transfers[place] = new
            return new
        }
        guard let known else { return nil }
        switch try await known.read(range, from: isWhole ? peer : nil) {
        case .answer(let answer): return answer
        case .withoutCopy: return nil
        case .damaged(let error):
            logger.error("a copy of an object cannot be used; it is fetched again", metadata: ["error": "\(error)"])
            forget(known)
            return isWhole ? .pending(sizeBytesHere: 0) : nil
        }
    }

    // MARK: Room

    private func makeRoom(for size: Int, except place: ObjectPlace) throws(EndpointError) {
        guard size <= options.sizeBytesMax else {
            throw EndpointError(
                .limitExceeded, "object \(place) has \(size) bytes, which is over the bound of all copies")
        }
        let all = transfers.withLock { transfers in
            transfers.values.filter { $0.place != place && $0.reservedBytes > 0 }
        }
        var used = all.reduce(0) { $0 + $1.reservedBytes }
        var count = all.count + 1
        let idle = all.filter { !$0.isRunning }.sorted { $0.askedAt < $1.askedAt }
        for transfer in idle where used + size > options.sizeBytesMax || count > options.countMax {
            used -= transfer.reservedBytes
            count -= 1
            forget(transfer)
        }
        guard used + size <= options.sizeBytesMax, count <= options.countMax else {
            throw EndpointError(.limitExceeded, "there is no room for a copy of object \(place) beside those under way")
        }
    }

    private func forget(_ transfer: ObjectTransfer) {
        transfers.withLock { transfers in
            if transfers[transfer.place] === transfer { transfers[transfer.place] = nil }
        }
        transfer.removeFile()
    }

    /// Lets go of what nobody has read for long, until the task is cancelled.
    func run() async {
        while (try? await Task.sleep(for: Self.sweepPause)) != nil {
            let now = ContinuousClock.now
            let idleTimeMax = max(options.expiresAfter, Self.idleTimeMin)
            for transfer in transfers.withLock({ Array($0.values) }) where !transfer.isRunning {
                let limit = transfer.hasFile ? idleTimeMax : Self.idleTimeMin
                if now - transfer.askedAt > limit { forget(transfer) }
            }
        }
        for transfer in transfers.withLock({ Array($0.values) }) { transfer.stop() }
    }
}
