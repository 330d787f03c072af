#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

package enum HostName {
    /// What this machine calls itself; `unknown` if it does not say.
    package static var current: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "unknown" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
