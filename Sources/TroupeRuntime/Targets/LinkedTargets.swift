import CTroupeSections
import Distributed

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What can be asked of the Swift runtime about the distributed methods in this process. All that is unsafe about the
/// table of targets is in this file and in `CTroupeSections`.
enum LinkedTargets {
    /// A record of the section: five relative references and flags of 32 bits, the first of which leads to the name.
    private static let recordSizeBytes = 20

    /// The mangled names of all distributed methods in the executable and the shared libraries loaded so far; a method
    /// that several images carry is there once.
    static func mangledNames() -> [String] {
        var names: [String] = []
        let understood = withUnsafeMutablePointer(to: &names) { names in
            troupe_for_each_accessible_section(
                { start, length, context in
                    guard let start, let context else { return }
                    let names = context.assumingMemoryBound(to: [String].self)
                    for offset in stride(from: 0, to: length, by: LinkedTargets.recordSizeBytes) {
                        names.pointee.append(LinkedTargets.name(ofRecord: start + offset))
                    }
                }, names)
        }
        precondition(understood, "This Swift runtime describes its images in an unknown way: use Swift 6.2 or later.")
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    private static func name(ofRecord record: UnsafeRawPointer) -> String {
        let distance = Int(record.loadUnaligned(as: Int32.self))
        return String(cString: (record + distance).assumingMemoryBound(to: CChar.self))
    }

    /// The declaration behind a mangled name as the Swift runtime prints it, or nil when it is not a mangled name. The
    /// compiler mangles a space within back-ticks as a no-break space; here it is a space again.
    static func demangled(_ name: String) -> String? {
        guard let text = troupe_demangle(name, name.utf8.count) else { return nil }
        defer { free(text) }
        return String(String(cString: text).map { $0 == "\u{A0}" ? " " : $0 })
    }

    /// Whether `type` conforms to P, when `existential` is `(any P).self`.
    static func conforms(_ type: any DistributedActor.Type, to existential: any Any.Type) -> Bool {
        troupe_conforms(
            unsafeBitCast(type as any Any.Type, to: UnsafeRawPointer.self),
            unsafeBitCast(existential, to: UnsafeRawPointer.self))
    }

    /// The protocol (as `(any P).self`) that the mangled method is an extension method of, or nil when it is a method of
    /// a type. A protocol's mangled name ends in `P` where it is a context and in `_p` where it is a type, so every
    /// prefix up to a `P` is tried: only the runtime knows which of them is a name, and `name` settles that it is the
    /// right one.
    static func protocolExtended(by mangled: String, named name: String) -> (any Any.Type)? {
        guard mangled.hasPrefix("$s") else { return nil }
        let body = mangled.dropFirst(2)
        for index in body.indices where body[index] == "P" {
            guard let type = _typeByName(body[..<index] + "_p") else { continue }
            if TargetName.canonical(typeName: String(reflecting: type)) == name { return type }
        }
        return nil
    }
}
