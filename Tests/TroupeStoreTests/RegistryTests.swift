import CBOR
import Testing
import TroupeStore

#if canImport(Glibc)
    import Glibc
#endif

@Suite struct RegistryTests {
    private func decode<Value>(_ proxy: Proxy<Value>, _ registry: StoreRegistry) throws -> Proxy<Value> {
        try CBORDecoder(userInfo: [.storeRegistry: registry]).decode(
            Proxy<Value>.self, from: CBOREncoder().encode(proxy))
    }

    @Test func anotherRegistryFindsTheStoreByName() async throws {
        try await withDirectory { directory in
            let there = try Store(name: "shared", connector: try FileConnector(directory: directory))
            let proxy = try await there.put([1.0, 2.0, 3.0])
            let registry = StoreRegistry()
            let here = try Store(name: "shared", connector: try FileConnector(directory: directory))
            try registry.register(here)
            let decoded = try decode(proxy, registry)
            #expect(try await decoded[1..<3] == [2, 3])
            #expect(here.metrics.fetchedBytes == 16)
            #expect(try await decoded.resolve() == [1, 2, 3])
            #expect(there.metrics.fetchCount == 0)
        }
    }

    @Test func nestedProxiesKeepTheRegistry() async throws {
        let (store, _) = try memoryStore()
        let registry = StoreRegistry()
        try registry.register(store)
        let inner = try await store.put("inner")
        let outer = try decode(try await store.put([inner]), registry)
        #expect(try await outer[0].resolve() == "inner")
    }

    @Test func unknownStores() async throws {
        let (store, _) = try memoryStore("mine")
        let proxy = try await store.put("x")
        let foreign = await storeError { _ = try await decode(proxy, StoreRegistry()).resolve() }
        #expect(foreign?.code == .foreignProcess)
        let registry = StoreRegistry()
        try registry.register(try Store(name: "mine", connector: MemoryConnector()))
        #expect(await storeErrorCode { _ = try await decode(proxy, registry).resolve() } == .foreignProcess)
        let reference = try ObjectReference(store: "far", kind: "redis", address: "h:1", key: "k", sizeBytes: 1)
        let unknown = await storeError { _ = try registry.store(for: reference) }
        #expect(unknown?.code == .unknownStore && unknown?.message.contains("register a store named far") == true)
    }

    @Test func namesAreTakenOnce() async throws {
        let registry = StoreRegistry()
        let (first, _) = try memoryStore()
        let (second, _) = try memoryStore()
        try registry.register(first)
        try registry.register(first)
        #expect(await storeErrorCode { try registry.register(second) } == .invalidArgument)
        try registry.register(second, replacing: true)
        #expect(registry.store(named: "default") === second && registry.stores.count == 1)
        registry.unregister("default")
        #expect(registry.store(named: "default") == nil)
    }

    @Test func filesOnlyUnderAllowedDirectories() async throws {
        try await withDirectory { directory in
            let open = try Store(name: "open", connector: try FileConnector(directory: "\(directory)/open/a"))
            let secret = try Store(name: "secret", connector: try FileConnector(directory: "\(directory)/open-not"))
            symlink("\(directory)/open-not", "\(directory)/open/link")
            let registry = StoreRegistry()
            try registry.allowFiles(under: ["\(directory)/open"])
            #expect(try await decode(try await open.put("x"), registry).resolve() == "x")
            #expect(await storeErrorCode { _ = try await decode(secret.put("x"), registry).resolve() } == .refused)
            for address in ["\(directory)/open/link", "\(directory)/open/../open-not", "/"] {
                let reference = try ObjectReference(store: "s", kind: "file", address: address, key: "k", sizeBytes: 1)
                #expect(await storeErrorCode { _ = try registry.store(for: reference) } == .refused)
            }
            let missing = try ObjectReference(
                store: "s", kind: "file", address: "\(directory)/open/no", key: "k", sizeBytes: 1)
            #expect(await storeErrorCode { _ = try registry.store(for: missing) } == .inputOutput)
            #expect(names(in: "\(directory)/open").count == 2, "nothing was made because a proxy named it")
        }
    }

    @Test func builtStoresAreBounded() async throws {
        try await withDirectory { directory in
            let registry = StoreRegistry(builtCountMax: 2)
            try registry.allowFiles(under: [directory])
            for number in 0..<3 {
                let reference = try ObjectReference(
                    store: "s\(number)", kind: "file", address: directory, key: "k", sizeBytes: 1)
                let code = await storeErrorCode { _ = try registry.store(for: reference) }
                #expect(code == (number < 2 ? nil : .refused))
            }
        }
    }

    @Test func anotherProcessResolves() async throws {
        try await withDirectory { directory in
            let store = try Store(name: "shared", connector: try FileConnector(directory: directory))
            let samples = (0..<1000).map(Double.init)
            let proxy = try CBOREncoder().encode(try await store.put(samples))
            let (memory, _) = try memoryStore("here")
            let local = try CBOREncoder().encode(try await memory.put("x"))
            await #expect(processExitsWith: .success) {
                [proxy = proxy as [UInt8], local = local as [UInt8], directory = directory as String] in
                try StoreRegistry.shared.register(
                    try Store(name: "shared", connector: try FileConnector(directory: directory)))
                let proxy = try CBORDecoder().decode(Proxy<[Double]>.self, from: proxy)
                guard try await proxy[998..<1000] == [998, 999], try await proxy.resolve().count == 1000 else {
                    exit(3)
                }
                let foreign = try CBORDecoder().decode(Proxy<String>.self, from: local)
                do {
                    _ = try await foreign.resolve()
                    exit(4)
                } catch let error as StoreError {
                    exit(error.code == .foreignProcess ? 0 : 5)
                }
            }
        }
    }
}
