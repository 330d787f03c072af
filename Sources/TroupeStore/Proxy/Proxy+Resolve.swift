extension Proxy {
    /// The value: from the cache, or fetched once for all that ask.
    public func resolve() async throws -> Value {
        try checkType()
        do {
            switch origin {
            case .stored(let reference): return try await resolve(reference)
            case .inline(let bytes):
                // What it refers to nobody counts, and it may be of another site.
                return try Store.decode(
                    bytes, as: Value.self, id: "(inline)", registry: registry, arriving: ArrivingReferences())
            case .outcome(let outcome): return try await registry.value(of: outcome, as: Value.self)
            }
        } catch let error as StoreError where error.code == .cancelled {
            throw CancellationError()
        }
    }

    /// The same as ``resolve()``, in the spelling of a member.
    public var value: Value {
        get async throws { try await resolve() }
    }

    /// A member of the value.
    public subscript<Member: Sendable>(dynamicMember keyPath: any KeyPath<Value, Member> & Sendable) -> Member {
        get async throws { try await resolve()[keyPath: keyPath] }
    }

    private func resolve(_ reference: ObjectReference) async throws -> Value {
        try await home(of: reference).value(
            reference.key, sizeBytes: reference.sizeBytes, as: Value.self, registry: registry)
    }

    func home(of reference: ObjectReference) throws(StoreError) -> Store {
        if let store { return store }
        return try registry.store(for: reference)
    }

    func checkType() throws(StoreError) {
        guard typeName.isEmpty || typeName == Self.localTypeName else {
            throw StoreError(
                .typeMismatch,
                "\(self) refers to a value of type \(typeName) and is used as \(Self.localTypeName): "
                    + "use the same type, or retyped(as:) if the two are meant to be read alike")
        }
    }
}

extension Proxy where Value: Collection {
    /// The number of elements; of a stored numeric array it is known without a fetch.
    public var count: Int {
        get async throws {
            try checkType()
            if let layout { return layout.count }
            return try await resolve().count
        }
    }

    public var isEmpty: Bool {
        get async throws { try await count == 0 }
    }
}

extension Proxy {
    /// Elements of an array. Of a stored numeric array, only their bytes are fetched (and not kept).
    ///
    /// - Throws: ``StoreError/Code/invalidArgument`` if the array has not so many elements.
    public subscript<Element: Codable & Sendable>(range: Range<Int>) -> [Element] where Value == [Element] {
        get async throws {
            try checkType()
            guard case .stored(let reference) = origin, let layout else {
                let whole = try await resolve()
                try ArrayLayout.check(range, count: whole.count)
                return Array(whole[range])
            }
            do throws(StoreError) {
                return try await home(of: reference).elements(range, of: reference, layout, registry: registry)
            } catch  where error.code == .cancelled {
                throw CancellationError()
            }
        }
    }

    public subscript<Element: Codable & Sendable>(range: ClosedRange<Int>) -> [Element] where Value == [Element] {
        get async throws {
            guard range.upperBound < .max else { throw StoreError(.invalidArgument, "no array has \(range)") }
            return try await self[range.lowerBound..<range.upperBound + 1]
        }
    }

    /// One element of an array; of a stored numeric array, only its bytes are fetched.
    public subscript<Element: Codable & Sendable>(index: Int) -> Element where Value == [Element] {
        get async throws {
            guard index < .max else { throw StoreError(.invalidArgument, "no array has an element \(index)") }
            return try await self[index..<index + 1][0]
        }
    }
}

extension StoreRegistry {
    /// The value of a call's outcome, asked for once for all that wait.
    func value<Value: Codable & Sendable>(of outcome: OutcomeReference, as type: Value.Type) async throws -> Value {
        guard let resolver else {
            throw StoreError(
                .noResolver,
                "the proxy stands for the outcome of \(outcome) and this process is connected to no exchange: "
                    + "connect first")
        }
        let arriving = ArrivingReferences()
        for _ in 0..<Self.lookupsMax {
            do {
                return try await value(of: outcome, as: type, arriving, resolver)
            } catch is Unsure {
                let unsure = arriving.unsure
                if !unsure.isEmpty { arriving.settle(counted: try await resolver.counted(unsure)) }
            }
        }
        throw StoreError(.internalError, "the references in the outcome of \(outcome) change while they are looked up")
    }

    /// The exchange is to be asked which of the references count, before there is a value.
    private struct Unsure: Error {}
    /// Others may look at the same outcome, and be told by whose turn it was.
    private static let lookupsMax = 10

    private func value<Value: Codable & Sendable>(
        of outcome: OutcomeReference, as type: Value.Type, _ arriving: ArrivingReferences, _ resolver: any ProxyResolver
    ) async throws -> Value {
        let id = "outcome of \(outcome)"
        return try await outcomes.value("\(outcome.exchange ?? "") \(outcome.callID)") { [self] in
            switch try await resolver.outcome(of: outcome) {
            case .bytes(let bytes): return bytes
            case .stored(let reference): return try await store(for: reference).bytes(reference)
            }
        } decode: { [self] bytes in
            let value = try Store.decode(bytes, as: type, id: id, registry: self, arriving: arriving)
            guard arriving.unsure.isEmpty || arriving.isSettled else { throw Unsure() }
            return value
        }
    }
}
