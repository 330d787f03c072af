import CBOR

/// Where a proxy's value comes from.
public enum ProxyOrigin: Hashable, Sendable {
    /// It lies in a store.
    case stored(ObjectReference)
    /// The proxy carries it, encoded: it is small.
    case inline([UInt8])
    /// It is the result of a call that may not have finished.
    case outcome(OutcomeReference)
}

/// A small reference to a value that is fetched only where, when and as far as it is used.
///
/// A proxy names the value's place and carries no credentials, so it travels in messages and state as it is. It is
/// resolved lazily and at most once per process (as long as the store's cache keeps the value):
///
///     let total = try await samples.resolve().reduce(0, +)   // the whole value
///     let length = try await samples.count                   // any member; an array's count needs no fetch
///     let head = try await samples[0..<100]                  // of a numeric array, the bytes of these elements only
///
/// Members that a proxy itself has (``origin``, ``typeName``, …) hide members of the value with the same name: write
/// `p.resolve().origin` for those. Resolving throws ``StoreError``, or what the call threw if the proxy stands for a
/// call's outcome, or `CancellationError` if the task is cancelled meanwhile.
@dynamicMemberLookup
public struct Proxy<Value: Codable & Sendable>: Sendable {
    public let origin: ProxyOrigin
    /// The value's type as the proxy's maker wrote it, without the module; empty if the maker wrote none.
    public let typeName: String
    /// Where the elements lie, if the value is a stored contiguous array of numbers.
    public let layout: ArrayLayout?
    package let registry: StoreRegistry
    /// The store that made this very proxy, known without a registry.
    let store: Store?

    package init(
        origin: ProxyOrigin, typeName: String = Self.localTypeName, layout: ArrayLayout? = nil,
        registry: StoreRegistry = .current, store: Store? = nil
    ) {
        self.origin = origin
        self.typeName = typeName
        // Only of such arrays are the value's elements the stored ones; other types may encode to an array of anything.
        self.layout = Value.self is any NumberArray.Type ? layout : nil
        self.registry = registry
        self.store = store
    }

    /// A proxy that carries the value, for values that are too small to be worth a store.
    public init(_ value: Value) throws(StoreError) {
        do {
            self.init(origin: .inline(try CBOREncoder().encode(value)))
        } catch {
            throw StoreError(.notEncodable, "a value of type \(Value.self) could not be encoded", underlying: error)
        }
    }

    /// A proxy of a call's result, which may be passed on before it exists.
    public init(outcome: OutcomeReference, registry: StoreRegistry = .current) {
        self.init(origin: .outcome(outcome), registry: registry)
    }

    /// The same object read as another type: for types that were renamed, or written by another language.
    public func retyped<Other>(as type: Other.Type = Other.self) -> Proxy<Other> {
        Proxy<Other>(origin: origin, layout: layout, registry: registry, store: store)
    }

    /// `Value`'s name without its module, so that it is the same in every executable.
    package static var localTypeName: String { String(describing: Value.self) }

    /// The stored object's reference; `nil` for other origins.
    public var reference: ObjectReference? {
        guard case .stored(let reference) = origin else { return nil }
        return reference
    }
}

extension Proxy: Hashable {
    /// Equal proxies refer to the same object; the values of unequal ones may still be equal.
    public static func == (a: Proxy, b: Proxy) -> Bool { a.origin == b.origin }
    public func hash(into hasher: inout Hasher) { hasher.combine(origin) }
}

extension Proxy: CustomStringConvertible {
    /// What and where, from the proxy alone: nothing is fetched.
    public var description: String {
        ProxyDescription(self).description
    }
}
