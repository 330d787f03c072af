import CBOR
import Testing
import TroupeStore

@Suite struct SiteReferenceTests {
    private func registry(_ site: String?) -> StoreRegistry {
        let registry = StoreRegistry()
        registry.setSite { site }
        return registry
    }

    private func encoded(_ value: some Encodable, at registry: StoreRegistry) throws -> [UInt8] {
        try CBOREncoder(userInfo: [.storeRegistry: registry]).encode(value)
    }

    private func decoded<Value: Decodable>(_ bytes: [UInt8], at registry: StoreRegistry) throws -> Value {
        try CBORDecoder(userInfo: [.storeRegistry: registry]).decode(Value.self, from: bytes)
    }

    @Test func aReferenceBearsItsSiteWhereItTravelsAndIsLocalAtHome() throws {
        let local = try ObjectReference(
            store: "s", kind: "file", address: "/x", key: "k", sizeBytes: 5, isManaged: true)
        let sent = try encoded(local, at: registry("lab-a"))
        let elsewhere: ObjectReference = try decoded(sent, at: registry("lab-b"))
        #expect(elsewhere.site == "lab-a" && elsewhere.id == "site:lab-a/s/k" && elsewhere.isManaged)
        #expect(elsewhere.description == "site:lab-a/s/k, 5 B, in file at /x of site lab-a")
        let onward: ObjectReference = try decoded(encoded(elsewhere, at: registry("lab-b")), at: registry("lab-c"))
        #expect(onward == elsewhere)
        let home: ObjectReference = try decoded(encoded(onward, at: registry("lab-c")), at: registry("lab-a"))
        #expect(home == local && home.id == "s/k")
        // Where no site has a name, nothing is different.
        let plain: ObjectReference = try decoded(CBOREncoder().encode(local), at: registry("lab-b"))
        #expect(plain == local)
        #expect(try encoded(local, at: registry(nil)) == CBOREncoder().encode(local))
    }

    @Test(arguments: ["", "a/b", "a:b", "ä", String(repeating: "a", count: 64)])
    func namesThatAreNoSites(_ name: String) async {
        let code = await storeErrorCode {
            _ = try ObjectReference(store: "s", kind: "file", address: "/", key: "k", sizeBytes: 1, site: name)
        }
        #expect(code == .invalidArgument)
    }

    @Test func substitutesBearTheSite() async throws {
        let (store, _) = try memoryStore()
        let policy = AutoProxy(store: store, thresholdBytes: 10, registry: registry("lab-a"))
        let (item, reference) = try policy.substitute(for: [UInt8](repeating: 0, count: 11), site: "lab-a")
        #expect(reference?.site == nil)
        #expect(try Substitute(item)?.reference == reference?.named(site: "lab-a"))
        #expect(ProxyDescription(try CBORDecoder().decode(CBORValue.self, from: item))?.isSubstitute == true)
        for size in 5..<item.count {
            #expect(await storeErrorCode { _ = try Substitute(Array(item.prefix(size))) } == .notDecodable)
        }
        let plain = try policy.substitute(for: [UInt8](repeating: 0, count: 11)).item
        #expect(plain[6] == 1 && item[6] == 2)
    }

    @Test func whatIsMentionedAtHomeIsCountedAtHome() async throws {
        let (store, _) = try memoryStore()
        let reference = try #require(try await store.put("a", key: "a", isManaged: true).reference)
        let registry = registry("lab-a")
        let collector = ReferenceCollector()
        let proxies = [reference, reference.named(site: "lab-a"), reference.named(site: "lab-b")]
            .map { Proxy<String>(origin: .stored($0)) }
        _ = try CBOREncoder(userInfo: [.referenceCollector: collector, .storeRegistry: registry]).encode(proxies)
        #expect(collector.managed.map(\.id) == ["default/a", "site:lab-b/default/a"])
    }

    @Test func storesOfSitesAreMadeOnceAndApartFromLocalOnes() async throws {
        let (local, _) = try memoryStore()
        let (there, connector) = try memoryStore()
        let registry = registry("lab-a")
        try registry.register(local)
        let inner = try await there.put("inner")
        let outer = try #require(try await there.put([inner]).reference)
        let unknown = await storeError { _ = try registry.store(for: outer.named(site: "lab-b")) }
        #expect(unknown?.code == .unknownStore)
        registry.setSiteFactory { (site, store) throws(StoreError) in
            guard site == "lab-b", store == "default" else { throw StoreError(.refused, "\(site)/\(store)") }
            return connector
        }
        let store = try registry.store(for: outer.named(site: "lab-b"))
        let other = try #require(inner.reference)
        #expect(try registry.store(for: other.named(site: "lab-b")) === store)
        let here = try #require(try await local.put("x").reference)
        #expect(try registry.store(for: here.named(site: "lab-a")) === local)
        #expect(store !== local)
        // What an object of another site refers to lies there, too.
        let read = Proxy<[Proxy<String>]>(origin: .stored(outer.named(site: "lab-b")), registry: registry)
        let found = try #require(try await read.resolve().first)
        #expect(found.reference?.site == "lab-b")
        #expect(try await found.resolve() == "inner")
    }
}
