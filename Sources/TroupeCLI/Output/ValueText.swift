import CBOR

/// A stored value in CBOR's diagnostic notation, up to a number of bytes, with each proxy as the place it refers to;
/// nothing is fetched.
struct ValueText {
    let text: String
    /// Whether the text ends before the value does.
    let isCut: Bool
    /// The proxies that were seen up to there.
    let proxies: [ProxyText]

    /// What cannot be read is named at its place: what was stored is not ours to trust.
    init(encoded bytes: [UInt8], limitBytes: Int) {
        if ProxyText.mayBe(in: bytes), let value = try? CBORValue(decoding: bytes) {
            var renderer = ProxyRenderer(limitBytes: limitBytes)
            renderer.write(value)
            (text, isCut) = renderer.finished()
            proxies = renderer.proxies
        } else {
            text = CBORValue.diagnostic(of: bytes, limitBytes: limitBytes)
            isCut = text.hasSuffix("…") && text.utf8.count + 1 > limitBytes
            proxies = []
        }
    }
}

/// Diagnostic notation of values that hold proxies.
private struct ProxyRenderer {
    private var text = ""
    private(set) var proxies: [ProxyText] = []
    private let limitBytes: Int

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    private var isFull: Bool { text.utf8.count > limitBytes }

    func finished() -> (text: String, isCut: Bool) { Escape.prefix(text, bytes: limitBytes) }

    mutating func write(_ value: CBORValue) {
        guard !isFull else { return }
        if let proxy = ProxyText(value) {
            proxies.append(proxy)
            text += proxy.description
            return
        }
        switch value {
        case .array(let items):
            writeList("[", items, "]") { $0.write($1) }
        case .map(let pairs):
            writeList("{", pairs, "}") {
                $0.write($1.key)
                $0.text += ": "
                $0.write($1.value)
            }
        case .unsigned, .negative, .bytes, .text, .tagged, .bool, .null, .undefined, .simple, .float:
            // One byte more than there is room for, so that it is seen to be full.
            text += value.diagnosticDescription(limitBytes: limitBytes - text.utf8.count + 1)
        }
    }

    private mutating func writeList<Item>(
        _ open: String, _ items: [Item], _ close: String, _ each: (inout ProxyRenderer, Item) -> Void
    ) {
        text += open
        for (index, item) in items.enumerated() {
            guard !isFull else { return }
            if index > 0 { text += ", " }
            each(&self, item)
        }
        text += close
    }
}
