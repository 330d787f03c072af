internal import Glibc

/// An address as the system's calls take it: the bytes of a `sockaddr_in`, `sockaddr_in6` or `sockaddr_un`.
struct SystemAddress: Sendable {
    let family: Int32
    let bytes: [UInt8]

    /// The address of a Unix socket; nil when the path is longer than the system can hold or empty.
    static func unix(path: String) -> SystemAddress? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let utf8 = Array(path.utf8)
        // One byte stays zero at the end.
        guard !utf8.isEmpty, utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: utf8) }
        return unsafe withUnsafeBytes(of: &address) { unsafe SystemAddress(family: AF_UNIX, bytes: Array($0)) }
    }

    /// Addresses of a host, which may be a name or numbers. Looking up a name blocks: `numericOnly` never does.
    static func lookUp(host: String, port: Int, numericOnly: Bool) -> Result<[SystemAddress], LookUpFailure> {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV | (numericOnly ? AI_NUMERICHOST : AI_ADDRCONFIG)
        var list: UnsafeMutablePointer<addrinfo>?
        let result = unsafe getaddrinfo(host, String(port), &hints, &list)
        guard result == 0 else {
            return .failure(LookUpFailure(text: unsafe String(cString: gai_strerror(result))))
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SystemAddress] = []
        var next = unsafe list
        while let entry = unsafe next {
            if let address = unsafe entry.pointee.ai_addr {
                let raw = unsafe UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen))
                unsafe addresses.append(SystemAddress(family: entry.pointee.ai_family, bytes: Array(raw)))
            }
            unsafe next = entry.pointee.ai_next
        }
        return .success(addresses)
    }
}

struct LookUpFailure: Error {
    let text: String
}

extension SystemAddress {
    /// Whether `host` is an address in numbers rather than a name.
    static func isNumeric(_ host: String) -> Bool {
        switch lookUp(host: host, port: 0, numericOnly: true) {
        case .success: true
        case .failure: false
        }
    }
}
