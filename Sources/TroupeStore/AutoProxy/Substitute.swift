import CBOR

/// What stands in an envelope for an argument or result that was too large for it: the place of its bytes.
///
/// The receiver's method still gets the plain value. Wire form, version 1: the CBOR tag 0x54525053 ("TRPS") around the
/// array [1, store, connector kind, address, key, size in bytes, managed, type name]. No Swift type encodes to this
/// tag, so a slot that starts with it is a substitute and nothing else.
public struct Substitute: Hashable, Sendable {
    public let reference: ObjectReference
    /// The value's type as the sender wrote it, for people; empty if unknown.
    public let typeName: String

    package static let tag: UInt64 = 0x5452_5053
    private static let tagBytes: [UInt8] = [0xda, 0x54, 0x52, 0x50, 0x53]
    private static let partCount = 8

    public init(reference: ObjectReference, typeName: String = "") {
        self.reference = reference
        self.typeName = String(typeName.prefix(ProxyWire.typeNameSizeBytesMax / 4))
    }

    /// The encoded item.
    public var encoded: [UInt8] {
        var writer = CBORWriter(capacity: 200)
        writer.writeTag(Self.tag)
        writer.writeArrayHeader(Self.partCount)
        writer.writeInt(1)
        writer.writeText(reference.store)
        writer.writeText(reference.kind)
        writer.writeText(reference.address)
        writer.writeText(reference.key)
        writer.writeInt(reference.sizeBytes)
        writer.writeBool(reference.isManaged)
        writer.writeText(typeName)
        return writer.bytes
    }

    /// True if the encoded item is a substitute: a look at five bytes.
    public static func isSubstitute(_ item: ArraySlice<UInt8>) -> Bool {
        item.starts(with: tagBytes)
    }

    /// The substitute in an argument's or result's slot; `nil` if the slot holds a plain value.
    ///
    /// - Throws: ``StoreError/Code/notDecodable`` if it is a substitute and malformed, or of another version.
    public init?(_ item: ArraySlice<UInt8>) throws(StoreError) {
        guard Self.isSubstitute(item) else { return nil }
        do {
            var reader = CBORReader(item)
            _ = try reader.readTag()
            let count = try reader.readArrayHeader()
            let version = try reader.readInt()
            guard count == Self.partCount && version == 1 else {
                throw StoreError(
                    .notDecodable, "an object substitute of version \(version); this program reads version 1")
            }
            reference = try ObjectReference(
                store: reader.readText(), kind: reader.readText(), address: reader.readText(), key: reader.readText(),
                sizeBytes: reader.readInt(), isManaged: reader.readBool())
            typeName = try reader.readText()
            try reader.finish()
        } catch let error as StoreError {
            throw error
        } catch {
            throw StoreError(.notDecodable, "an object substitute is malformed", underlying: error)
        }
    }

    public init?(_ item: [UInt8]) throws(StoreError) {
        try self.init(item[...])
    }
}
