package import TroupeCore
package import TroupeStore

/// A store of another site, read through this site's endpoint. Nothing is put or deleted through it.
final class SiteConnector: Connector {
    let kind = "site"
    let address: String
    let objectSizeBytesMax: Int
    private let site: String
    private let store: String
    private let link: EndpointLink
    private let wait: Duration

    /// Parts of one object that are asked for at a time.
    private static let partsAtOnce = 4
    private static let objectSizeBytesMax = 4 << 30
    private static let backOff = BackOff(first: .milliseconds(50))
    /// The endpoint answers before this time even while it waits.
    private static let answerTime = Duration.seconds(30)
    /// So much longer is an answer waited for than the site, to hear why.
    private static let answerGrace = Duration.seconds(1)

    /// - Parameter wait: how long a site that is away is waited for.
    init(site: String, store: String, link: EndpointLink, wait: Duration) {
        self.site = site
        self.store = store
        self.link = link
        self.wait = wait
        address = "site \(site)"
        objectSizeBytesMax = Self.objectSizeBytesMax
    }

    func get(_ key: String, range: Range<Int>?) async throws(StoreError) -> [UInt8]? {
        try ConnectorCheck.get(key, range: range)
        if let range { return try await read(key, range) }
        guard let size = try await sizeBytes(key) else { return nil }
        return try await get(key, sizeBytes: size)
    }

    func get(_ key: String, sizeBytes: Int) async throws(StoreError) -> [UInt8]? {
        try ConnectorCheck.get(key, range: 0..<max(0, sizeBytes))
        return try await read(key, 0..<sizeBytes)
    }

    func sizeBytes(_ key: String) async throws(StoreError) -> Int? {
        try ObjectName.validate(key: key)
        return try await part(key, 0..<0, isWhole: false)?.sizeBytes
    }

    func put(_ key: String, _ bytes: [UInt8], expiresAfter: Duration?) async throws(StoreError) {
        throw readOnly("put", key)
    }

    func delete(_ key: String) async throws(StoreError) -> Bool { throw readOnly("deleted", key) }

    // MARK: Parts

    /// The bytes of the range that the object has.
    private func read(_ key: String, _ range: Range<Int>) async throws(StoreError) -> [UInt8]? {
        let most = LocalRequest.pieceSizeBytesMax
        guard range.count > most else { return try await part(key, range, isWhole: false)?.bytes }
        let parts = stride(from: range.lowerBound, to: range.upperBound, by: most).map {
            $0..<min($0 + most, range.upperBound)
        }
        return try await Store.storeErrors("\(site)/\(store)/\(key)") {
            try await withThrowingTaskGroup(of: (index: Int, bytes: [UInt8]?).self) { group in
                var bytes: [UInt8] = []
                bytes.reserveCapacity(range.count)
                var early: [Int: [UInt8]] = [:]
                var next = 0
                var asked = 0
                func ask() {
                    guard asked < parts.count else { return }
                    let index = asked
                    asked += 1
                    group.addTask { (index, try await self.part(key, parts[index], isWhole: true)?.bytes) }
                }
                for _ in 0..<Self.partsAtOnce { ask() }
                while let part = try await group.next() {
                    guard let found = part.bytes else {
                        group.cancelAll()
                        return nil
                    }
                    early[part.index] = found
                    while let following = early.removeValue(forKey: next) {
                        bytes += following
                        next += 1
                        // Asked for in order, and not before there is room: what waits here is bounded.
                        ask()
                    }
                }
                return bytes
            }
        }
    }

    /// One part: waits while the site is away, as long as that may take.
    private func part(
        _ key: String, _ range: Range<Int>, isWhole: Bool
    ) async throws(StoreError) -> (sizeBytes: Int, bytes: [UInt8])? {
        let request = LocalRequest.object(
            site: site, store: store, key: key, from: range.lowerBound, count: range.count, isWhole: isWhole)
        var deadline = ContinuousClock.now + wait
        var sizeBytesHere = 0
        var attempts = 0
        var failure = EndpointError(.timedOut, "it does not answer")
        while !Task.isCancelled {
            do throws(EndpointError) {
                let answerTime = min(Self.answerTime, max(deadline - .now, .zero) + Self.answerGrace)
                switch try await link.ask(request, timeout: answerTime) {
                case .object(let size, let bytes): return (size, bytes)
                case .missing: return nil
                case .pending(let count):
                    if count > sizeBytesHere { deadline = ContinuousClock.now + wait }
                    sizeBytesHere = count
                    failure = EndpointError(.timedOut, "\(count) bytes have arrived, and no more for a while")
                case .failed(let code, let message): throw EndpointError(code, message)
                case .status, .nat, .tested:
                    throw EndpointError(.protocolViolation, "the endpoint answers something else")
                }
            } catch {
                guard Self.mayPass(error.code) else { throw refusal(key, error) }
                failure = error
            }
            guard ContinuousClock.now < deadline else { throw away(key, failure) }
            attempts += 1
            try? await Task.sleep(for: Self.backOff.pause(after: attempts))
        }
        throw StoreError.cancelled("the fetch of object \(store)/\(key) of site \(site)")
    }

    // MARK: Failures

    private static func mayPass(_ code: EndpointError.Code) -> Bool {
        switch code {
        case .unreachable, .timedOut, .closed: true
        case .invalidArgument, .files, .refused, .protocolViolation, .corrupt, .limitExceeded: false
        }
    }

    private func away(_ key: String, _ error: EndpointError) -> StoreError {
        StoreError(
            .unreachable,
            "object \(store)/\(key) of site \(site) was not reached within \(wait): try again when the site is back, which "
                + "'troupe endpoint status' shows (\(error.message))")
    }

    private func refusal(_ key: String, _ error: EndpointError) -> StoreError {
        let code: StoreError.Code =
            switch error.code {
            case .refused: .refused
            case .invalidArgument: .unknownStore
            case .corrupt: .corrupt
            case .limitExceeded: .tooLarge
            case .files: .inputOutput
            case .unreachable, .timedOut, .closed, .protocolViolation: .unreachable
            }
        return StoreError(code, "object \(store)/\(key) of site \(site) cannot be read: \(error.message)")
    }

    private func readOnly(_ what: String, _ key: String) -> StoreError {
        StoreError(
            .refused,
            "object \(store)/\(key) lies at site \(site) and is not \(what) from here: have an actor of that site do it"
        )
    }
}

extension StoreRegistry {
    /// How long a site that is away is waited for when an object of it is read.
    package static var siteWait: Duration { .seconds(30) }

    /// Lets proxies lead to stores of other sites, by way of the endpoint that serves the exchange.
    package func reachSites(through exchange: Exchange, waiting wait: Duration = siteWait) {
        let link = EndpointLink(exchange)
        setSiteFactory { (site, store) throws(StoreError) in
            SiteConnector(site: site, store: store, link: link, wait: wait)
        }
    }
}
