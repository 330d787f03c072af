package import TroupeStore

/// What every connector promises (``Connector``), as clauses that any test framework can run: each makes keys of its
/// own, so they may run concurrently and on a place that holds other objects.
package enum ConnectorConformance {
    package struct Clause: Sendable, CustomStringConvertible {
        package let name: String
        package let run: @Sendable (any Connector) async throws -> Void
        package var description: String { name }
    }

    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package static let clauses: [Clause] = [
        Clause(name: "put and get", run: putAndGet),
        Clause(name: "an empty object exists", run: emptyObject),
        Clause(name: "what was never put is absent", run: absent),
        Clause(name: "ranges are clamped to the object", run: ranges),
        Clause(name: "a put replaces the whole object", run: replace),
        Clause(name: "delete happens once", run: deleteOnce),
        Clause(name: "malformed keys are refused", run: malformedKeys),
        Clause(name: "malformed ranges and expiries are refused", run: malformedArguments),
        Clause(name: "keys are told apart", run: distinctKeys),
        Clause(name: "large objects survive", run: largeObject),
        Clause(name: "concurrent puts leave a whole object", run: concurrentPuts),
        Clause(name: "objects over the limit are refused", run: tooLarge),
        Clause(name: "objects expire", run: expiry),
        Clause(name: "expiry can be moved", run: touch),
        Clause(name: "batches", run: batches),
        Clause(name: "the address is public", run: address),
    ]

    package static func putAndGet(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        let bytes = pattern(1000, seed: 1)
        try await connector.put(key, bytes)
        try expect(try await connector.get(key) == bytes, "get returns what was put")
        try expect(try await connector.sizeBytes(key) == 1000, "the size is the number of bytes put")
        try expect(try await connector.exists(key), "the object exists")
        try await connector.delete(key)
    }

    package static func emptyObject(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        try await connector.put(key, [])
        try expect(try await connector.get(key) == [], "an empty object is found")
        try expect(try await connector.get(key, range: 0..<10) == [], "a range of an empty object is empty")
        try expect(try await connector.sizeBytes(key) == 0, "its size is 0")
        try expect(try await connector.exists(key), "it exists")
        try expect(try await connector.delete(key), "it can be deleted")
    }

    package static func absent(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        try expect(try await connector.get(key) == nil, "get finds nothing")
        try expect(try await connector.get(key, range: 0..<5) == nil, "a range of nothing is nothing, not empty")
        try expect(try await connector.sizeBytes(key) == nil, "it has no size")
        try expect(try await !connector.exists(key), "it does not exist")
        try expect(try await !connector.delete(key), "there is nothing to delete")
    }

    package static func ranges(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        let bytes = pattern(100, seed: 2)
        try await connector.put(key, bytes)
        for range in [0..<100, 0..<1, 99..<100, 10..<20, 50..<50] {
            try expect(try await connector.get(key, range: range) == Array(bytes[range]), "range \(range)")
        }
        try expect(try await connector.get(key, range: 90..<200) == Array(bytes[90...]), "a range past the end is cut")
        try expect(try await connector.get(key, range: 100..<110) == [], "a range after the end is empty")
        try await connector.delete(key)
    }

    package static func replace(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        try await connector.put(key, pattern(500, seed: 3))
        try await connector.put(key, [1, 2, 3])
        try expect(try await connector.get(key) == [1, 2, 3], "nothing of the old object is left")
        try await connector.delete(key)
    }

    package static func deleteOnce(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        try await connector.put(key, [1])
        let deletions = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 { group.addTask { try await connector.delete(key) } }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        try expect(deletions == 1, "one of 20 concurrent deletes says it deleted; \(deletions) did")
        try expect(try await connector.get(key) == nil, "the object is gone")
    }

    package static func malformedKeys(_ connector: any Connector) async throws {
        let long = String(repeating: "k", count: 201)
        for key in ["", ".", "..", "../up", "a/b", "/etc/passwd", ".hidden", "a\0b", "a b", "ä", "a\nb", "*", long] {
            let shown = key.debugDescription
            try await expectError(.invalidArgument, "put \(shown)") { try await connector.put(key, [1]) }
            try await expectError(.invalidArgument, "get \(shown)") { _ = try await connector.get(key) }
            try await expectError(.invalidArgument, "size of \(shown)") { _ = try await connector.sizeBytes(key) }
            try await expectError(.invalidArgument, "delete \(shown)") { try await connector.delete(key) }
        }
    }

    package static func malformedArguments(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        try await expectError(.invalidArgument, "a negative range") { _ = try await connector.get(key, range: -1..<2) }
        for expiry in [Duration.zero, .seconds(-1), .seconds(1 << 40)] {
            try await expectError(.invalidArgument, "expiry after \(expiry)") {
                try await connector.put(key, [1], expiresAfter: expiry)
            }
        }
        try expect(try await connector.get(key) == nil, "a refused put stores nothing")
    }

    package static func distinctKeys(_ connector: any Connector) async throws {
        let stem = ObjectName.random()
        let keys = [
            stem, stem + ".", stem + "A", stem + "a", stem + "-", stem + "_", String(repeating: "k", count: 168) + stem,
        ]
        for (index, key) in keys.enumerated() { try await connector.put(key, [UInt8(index)]) }
        for (index, key) in keys.enumerated() {
            try expect(try await connector.get(key) == [UInt8(index)], "\(key) has its own object")
            try await connector.delete(key)
        }
    }

    package static func largeObject(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        let bytes = pattern(5_000_003, seed: 4)
        try await connector.put(key, bytes)
        try expect(try await connector.get(key) == bytes, "all 5 MB come back")
        let range = 4_000_000..<4_000_100
        try expect(try await connector.get(key, range: range) == Array(bytes[range]), "a range from its depth")
        try await connector.delete(key)
    }

    package static func concurrentPuts(_ connector: any Connector) async throws {
        let key = ObjectName.random()
        let objects = (0..<8).map { pattern(20_000 + $0, seed: UInt64($0)) }
        try await connector.put(key, objects[0])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for object in objects { group.addTask { try await connector.put(key, object) } }
            for _ in 0..<20 {
                group.addTask {
                    let seen = try await connector.get(key)
                    try expect(seen.map(objects.contains) ?? false, "a reader sees one whole object")
                }
            }
            try await group.waitForAll()
        }
        try await connector.delete(key)
    }

    /// Runs only where the limit is small enough to be tried.
    package static func tooLarge(_ connector: any Connector) async throws {
        guard connector.objectSizeBytesMax < 64 << 20 else { return }
        let key = ObjectName.random()
        let bytes = [UInt8](repeating: 0, count: connector.objectSizeBytesMax + 1)
        try await expectError(.tooLarge, "one byte over the limit") { try await connector.put(key, bytes) }
        try expect(try await connector.get(key) == nil, "a refused put stores nothing")
    }

    package static func expiry(_ connector: any Connector) async throws {
        let (brief, long) = (ObjectName.random(), ObjectName.random())
        try await connector.put(long, [2], expiresAfter: .seconds(3600))
        try await connector.put(brief, [1], expiresAfter: .milliseconds(50))
        try await eventuallyAbsent(brief, connector)
        try expect(try await connector.sizeBytes(brief) == nil, "an expired object has no size")
        try expect(try await connector.get(long) == [2], "the other one is still there")
        try await connector.put(brief, [3])
        try expect(try await connector.get(brief) == [3], "an expired key can be used again")
        try await connector.delete(brief)
        try await connector.delete(long)
    }

    package static func touch(_ connector: any Connector) async throws {
        guard let expiring = connector as? any ExpiringConnector else { return }
        let key = ObjectName.random()
        try expect(try await !expiring.touch(key, expiresAfter: .seconds(1)), "there is nothing to touch")
        try await expiring.put(key, [7], expiresAfter: .seconds(3600))
        try expect(try await expiring.touch(key, expiresAfter: nil), "touch finds the object")
        try expect(try await expiring.get(key) == [7], "the bytes are untouched")
        try expect(try await expiring.touch(key, expiresAfter: .milliseconds(20)), "touch finds it again")
        try await eventuallyAbsent(key, connector)
        try expect(try await !expiring.touch(key, expiresAfter: nil), "an expired object does not come back")
    }

    package static func batches(_ connector: any Connector) async throws {
        guard let batching = connector as? any BatchingConnector else { return }
        let keys = (0..<10).map { _ in ObjectName.random() }
        try await batching.put(
            keys.enumerated().map { ($0.element, pattern(10 + $0.offset, seed: 5)) }, expiresAfter: nil)
        let objects = try await batching.get(keys + [ObjectName.random()])
        try expect(objects.count == 11 && objects[10] == nil, "one answer per key, nil for the unknown one")
        for (index, object) in objects.prefix(10).enumerated() {
            try expect(object == pattern(10 + index, seed: 5), "object \(index) of the batch, in order")
        }
        try expect(try await batching.get([]).isEmpty, "an empty batch")
        try await batching.put([], expiresAfter: nil)
        try await expectError(.invalidArgument, "a batch with a malformed key") {
            try await batching.put([("a/b", [1])], expiresAfter: nil)
        }
        for key in keys { try await connector.delete(key) }
    }

    package static func address(_ connector: any Connector) async throws {
        try expect(!connector.kind.isEmpty && !connector.address.isEmpty, "kind and address are stated")
        _ = try ObjectReference(
            store: "s", kind: connector.kind, address: connector.address, key: "k", sizeBytes: 0)
        try expect(!connector.address.contains("@"), "the address carries no user or password")
    }
}

extension ConnectorConformance {
    /// Polls, as real places keep time of their own; the bound only matters when the clause fails.
    private static func eventuallyAbsent(_ key: String, _ connector: any Connector) async throws {
        let deadline = ContinuousClock.now + .seconds(10)
        while try await connector.get(key) != nil {
            try expect(ContinuousClock.now < deadline, "object \(key) has not expired after 10 s")
            await Task.yield()
        }
    }

    static func expect(_ condition: Bool, _ promise: String) throws {
        guard condition else { throw Failure(description: "broken promise: \(promise)") }
    }

    private static func expectError(
        _ code: StoreError.Code, _ what: String, _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch let error as StoreError {
            try expect(error.code == code, "\(what) is \(code), not \(error.code): \(error)")
            return
        }
        throw Failure(description: "broken promise: \(what) is refused as \(code)")
    }

    private static func pattern(_ count: Int, seed: UInt64) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: (UInt64($0) &+ seed &* 31) &* 0x9e37_79b9 >> 7) }
    }
}
