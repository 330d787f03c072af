import CBOR

/// What stands in an envelope for an argument or result that was too large for it: the place of its bytes.
///
/// The receiver's method still gets the plain value. Wire form, version 1: the CBOR tag 0x54525053 ("TRPS") around the
/// array [1, store, connector kind, address, key, size in bytes, managed, type name]; version 2, for objects whose site is
/// known, has 2 for the 1 and the site's name at the end. No Swift type encodes to this tag, so a slot that starts with it is
/// a substitute and nothing else.
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
        writer.writeArrayHeader(Self.partCount + (reference.site == nil ? 0 : 1))
        writer.writeInt(reference.site == nil ? 1 : 2)
        writer.writeText(reference.store)
        writer.writeText(reference.kind)
        writer.writeText(reference.address)
        writer.writeText(reference.key)
        writer.writeInt(reference.sizeBytes)
        writer.writeBool(reference.isManaged)
        writer.writeText(typeName)
        if let site = reference.site { writer.writeText(site) }
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
            guard (1...2) ~= version, count == Self.partCount - 1 + Int(version) else {
                throw StoreError(
                    .notDecodable, "an object substitute of version \(version); this program reads versions 1 and 2")
            }
            let (store, kind, address) = (try reader.readText(), try reader.readText(), try reader.readText())
            let (key, sizeBytes, isManaged) = (try reader.readText(), try reader.readInt(), try reader.readBool())
            typeName = try reader.readText()
            reference = try ObjectReference(
                store: store, kind: kind, address: address, key: key, sizeBytes: sizeBytes, isManaged: isManaged,
                site: version == 2 ? reader.readText() : nil)
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
