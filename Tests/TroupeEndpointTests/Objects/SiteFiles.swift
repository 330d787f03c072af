import Distributed
import Synchronization
import SystemPackage
import Troupe
import TroupeBroker
import TroupeCore
import TroupeStore

@testable import TroupeEndpoint

/// What a site has on disk: a store, its endpoint's socket, and the endpoint's copies of other sites' objects.
final class SiteFiles: Sendable {
    let directory: TemporaryDirectory
    /// The site's store, as its endpoint and its processes see it.
    let connector: any Connector
    static let storeName = "objects"

    /// What anybody can write down who knows a key.
    static func forged(_ site: String, _ key: String) throws -> ObjectReference {
        try ObjectReference(
            store: storeName, kind: "file", address: "/", key: key, sizeBytes: 100, isManaged: true, site: site)
    }

    init(connector: (any Connector)? = nil) throws {
        directory = try TemporaryDirectory()
        self.connector = try connector ?? FileConnector(directory: directory.path.appending("objects").string)
    }

    var copies: FilePath { directory.path.appending("copies") }

    func configure(_ configuration: inout Endpoint.Configuration) throws {
        configuration.local = [try BrokerAddress("ipc://\(directory.path.appending("socket").string)")]
        configuration.copies = ObjectCopies(directory: copies)
        try configuration.stores.register(Store(name: Self.storeName, connector: connector))
    }

    func configure(_ configuration: inout TroupeConfiguration, _ exchange: Exchange) throws {
        let store = try Store(name: Self.storeName, connector: connector)
        try configuration.stores.register(store)
        configuration.stores.reachSites(through: exchange)
        configuration.autoProxy = AutoProxy(store: store, registry: configuration.stores)
    }
}

/// An actor that takes, makes and keeps arrays.
distributed actor Warehouse: StatefulActor {
    struct State: ActorState { var kept: Proxy<[Double]>? }
    var state: State
    init(state: State, actorSystem: Troupe) {
        self.state = state
        self.actorSystem = actorSystem
    }

    distributed func last(_ numbers: [Double]) -> [Double] { [Double(numbers.count), numbers.last ?? 0] }
    distributed func make(_ count: Int) -> [Double] { [Double](repeating: 7, count: count) }
    distributed func part(_ numbers: Proxy<[Double]>, from: Int, to: Int) async throws -> [Double] {
        try await numbers[from..<to]
    }
    distributed func count(_ numbers: Proxy<[Double]>) async throws -> Int { try await numbers.resolve().count }
    distributed func keep(_ numbers: Proxy<[Double]>) { state.kept = numbers }
    distributed func drop() { state.kept = nil }
    /// Has another one keep what this one keeps.
    distributed func pass(to other: Warehouse) async throws {
        if let kept = state.kept { try await other.keep(kept) }
    }
    /// A proxy of an object of which it knows the key, and says that it is managed.
    distributed func forged(_ site: String, _ key: String) throws -> Proxy<[Double]> {
        Proxy(origin: .stored(try SiteFiles.forged(site, key)), registry: .current)
    }
    distributed func kept() -> Proxy<[Double]>? { state.kept }
    distributed func keptCount() async throws -> Int { try await state.kept?.resolve().count ?? -1 }
}

/// An object whose pieces are each of one byte, so that it takes no room however large it is; what lies behind the gate is
/// not read before it is opened.
final class PatternConnector: Connector {
    let kind = "pattern"
    let address = "here"
    let objectSizeBytesMax = Int.max
    let sizeBytes: Int
    let gate: Gate?

    init(sizeBytes: Int, gate: Gate? = nil) {
        self.sizeBytes = sizeBytes
        self.gate = gate
    }

    static func bytes(_ range: Range<Int>) -> [UInt8] {
        var bytes: [UInt8] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            let end = min((offset >> 20 + 1) << 20, range.upperBound)
            bytes += [UInt8](repeating: UInt8(truncatingIfNeeded: offset >> 20 &* 7 + 1), count: end - offset)
            offset = end
        }
        return bytes
    }

    func get(_ key: String, range: Range<Int>?) async throws(StoreError) -> [UInt8]? {
        let range = (range ?? 0..<sizeBytes).clamped(to: 0..<sizeBytes)
        if let gate, range.upperBound > gate.offset { await gate.passed() }
        return Self.bytes(range)
    }

    func sizeBytes(_ key: String) async throws(StoreError) -> Int? { sizeBytes }
    func put(_ key: String, _ bytes: [UInt8], expiresAfter: Duration?) async throws(StoreError) {}
    func delete(_ key: String) async throws(StoreError) -> Bool { false }
}

/// Holds whoever wants to pass until it is opened, or the task is cancelled.
final class Gate: Sendable {
    let offset: Int
    private let isOpen = Atomic<Bool>(false)
    private let changes = Broadcast()

    init(behind offset: Int) { self.offset = offset }

    func passed() async {
        while !isOpen.load(ordering: .acquiring), !Task.isCancelled {
            await changes.wait(atMost: .seconds(60)) { [self] in isOpen.load(ordering: .acquiring) }
        }
    }

    func open() {
        isOpen.store(true, ordering: .releasing)
        changes.tell()
    }
}
