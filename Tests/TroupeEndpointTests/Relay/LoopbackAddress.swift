import Glibc

/// An address of 127.0.0.1 for system calls, by its bytes: `sockaddr_in` is declared by several modules, and which of them
/// counts depends on what else is imported.
struct LoopbackAddress {
    private var bytes: [UInt8]

    init(port: Int) {
        let family = withUnsafeBytes(of: sa_family_t(AF_INET)) { Array($0) }
        let digits = [UInt8(truncatingIfNeeded: port >> 8), UInt8(truncatingIfNeeded: port)]
        bytes = family + digits + [127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
    }

    var port: Int { Int(bytes[2]) << 8 | Int(bytes[3]) }

    /// Calls with the address, which the call may change.
    mutating func with<Result>(_ call: (UnsafeMutablePointer<sockaddr>, inout socklen_t) -> Result) -> Result {
        var size = socklen_t(bytes.count)
        return bytes.withUnsafeMutableBytes { call($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &size) }
    }
}
