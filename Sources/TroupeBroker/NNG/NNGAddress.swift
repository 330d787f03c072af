/// Where nng listens or dials, resolved: a URL in nng's spelling, how to name it to people, and its TLS ends.
package struct NNGAddress: Sendable {
    /// `inproc://`, `ipc://`, `tcp://`, `tls+tcp://` or `ws://`.
    package var url: String
    /// The address as messages show it.
    package var shown: String
    package var tls: NNGTLS?
    /// Of an `ipc://` socket: only our own user may connect.
    package var isIPC: Bool { url.hasPrefix("ipc://") }

    var isInproc: Bool { url.hasPrefix("inproc://") }

    package init(url: String, shown: String? = nil, tls: NNGTLS? = nil) {
        self.url = url
        self.shown = shown ?? url
        self.tls = tls
    }
}

extension NNGAddress {
    /// The address with its port 0 replaced by the one that the system chose.
    func withPort(_ port: Int32) -> NNGAddress {
        NNGAddress(url: url.withPort(port), shown: shown.withPort(port), tls: tls)
    }
}

extension String {
    fileprivate func withPort(_ port: Int32) -> String {
        guard let scheme = firstRange(of: "://") else { return self }
        let authorityEnd = self[scheme.upperBound...].firstIndex { $0 == "/" || $0 == "?" } ?? endIndex
        let authority = self[..<authorityEnd]
        guard authority.hasSuffix(":0") else { return self }
        return authority.dropLast() + "\(port)" + self[authorityEnd...]
    }
}
