import CBOR
import Logging
import TroupeCore
import TroupeStore

/// The bulk data of this process's messages: values above the threshold leave as references, and come back as values.
struct DataPlane: Sendable {
    let registry: StoreRegistry
    let policy: AutoProxy?
    let logger: Logger
    /// Which site the ids in values are of that name none.
    let site: LocalSiteName

    /// How long an object is kept that nothing refers to yet: its message is on its way.
    static let holdBeforeSend = Duration.seconds(600)

    /// An encoder that notes the objects which a value mentions.
    func encoder(noting collector: ReferenceCollector) -> CBOREncoder {
        CBOREncoder(userInfo: [.referenceCollector: collector, .storeRegistry: registry, .localSite: site])
    }

    /// Puts the large ones of some encoded values into the store, held until a message refers to them.
    ///
    /// - Returns: the items to send, and the ids of all managed objects that they refer to.
    func offload(
        _ items: [[UInt8]], noted: ReferenceCollector, on shard: any Shard
    ) async throws -> (items: [[UInt8]], references: [String]) {
        let references = noted.managed.map(\.id)
        guard let policy, items.contains(where: { $0.count > policy.thresholdBytes }) else {
            return (items, references)
        }
        var sent: [[UInt8]] = []
        var stored: [(reference: ObjectReference, bytes: [UInt8])] = []
        for item in items {
            let (substitute, reference) = try policy.substitute(for: item, site: site.name)
            sent.append(substitute)
            if let reference { stored.append((reference, item)) }
        }
        // Held before they are there: who dies in between leaves nothing that the exchange does not know.
        try await hold(stored.map(\.reference.id), on: shard)
        for (reference, bytes) in stored { try await policy.put(bytes, at: reference) }
        return (sent, references + stored.map(\.reference.id))
    }

    func hold(_ ids: [String], on shard: any Shard) async throws {
        guard !ids.isEmpty else { return }
        do {
            _ = try await shard.perform(.hold(ids, for: Self.holdBeforeSend))
        } catch {
            throw TroupeError(error)
        }
    }

    /// Ends the hold of objects that a stored message refers to by now.
    ///
    /// - Parameter target: the actor to which the message goes: what was made for it is held at its shard.
    func endHold(_ ids: [String], for target: ActorID, in exchange: Exchange) {
        guard !ids.isEmpty else { return }
        let home = Exchange.index(of: target, count: exchange.shards.count)
        var byShard = [home: ids]
        // What was made without a message in mind is held elsewhere.
        for id in ids {
            let index = exchange.index(ofObject: id)
            if index != home { byShard[index, default: []].append(id) }
        }
        // Unstructured: an operation for each shard; if it is lost, the hold ends by itself.
        for (index, ids) in byShard { Task { _ = try? await exchange.shards[index].perform(.hold(ids, for: .zero)) } }
    }

    /// The encoded value of an item: itself, or the object that it stands for, which was put for this item alone and is taken.
    func expand(_ item: [UInt8]) async throws -> [UInt8] {
        guard let substitute = try Substitute(item) else { return item }
        return try await registry.store(for: substitute.reference).take(substitute.reference)
    }

    func expand(_ items: [[UInt8]]) async throws -> [[UInt8]] {
        var expanded: [[UInt8]] = []
        for item in items { expanded.append(try await expand(item)) }
        return expanded
    }

    /// Begins to fetch what an envelope that is about to run refers to.
    func prefetch(_ envelope: Envelope) {
        guard !envelope.references.isEmpty, let items = try? ArgumentList.split(envelope.arguments) else { return }
        let references = items.compactMap { try? Substitute($0)?.reference }
        guard !references.isEmpty else { return }
        // Unstructured: bounded by the store; a failure shows when the value is used.
        Task { await registry.prefetch(references) }
    }

    /// Deletes objects that nothing refers to any more.
    ///
    /// - Returns: those that are gone; a store that this process does not know is left to another worker.
    func delete(_ ids: [String]) async -> [String] {
        var gone: [String] = []
        for id in ids {
            // Counted here, and kept or deleted by its own site.
            if id.hasPrefix(ObjectReference.siteMark) {
                gone.append(id)
                continue
            }
            guard let slash = id.firstIndex(of: "/"), let store = registry.store(named: String(id[..<slash])) else {
                continue
            }
            do {
                _ = try await store.connector.delete(String(id[id.index(after: slash)...]))
                gone.append(id)
            } catch {
                logger.warning(
                    "an object that nothing refers to was not deleted",
                    metadata: ["object": "\(id)", "error": "\(error)"])
            }
        }
        return gone
    }
}
