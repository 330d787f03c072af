package import SystemPackage

/// Who may log in, by tenant: a file with a line `TENANT ENDPOINT-ID [NAME]` for each; `#` begins a comment.
package struct RelayAllowList: Sendable, Hashable {
    private var members: Set<RelayMember>
    private let text: String

    private static let sizeBytesMax = 4 << 20

    package init(path: FilePath) throws(EndpointError) {
        try self.init(parsing: Self.text(at: path), from: path.string)
    }

    /// Whether the file still says the same; cheaper than to read what it says.
    func isStill(at path: FilePath) throws(EndpointError) -> Bool { try Self.text(at: path) == text }

    private static func text(at path: FilePath) throws(EndpointError) -> String {
        try SmallFile.text(at: path, what: "the relay's allow-list", sizeBytesMax: sizeBytesMax)
    }

    init(parsing text: String, from source: String) throws(EndpointError) {
        self.text = text
        members = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.prefix { $0 != "#" }
            let words = content.split(whereSeparator: \.isWhitespace)
            guard !words.isEmpty else { continue }
            guard words.count >= 2, TenantName.isValid(String(words[0])),
                let id = try? EndpointID(parsing: String(words[1]))
            else {
                throw EndpointError(
                    .invalidArgument,
                    "\(source), line \(index + 1) is not 'TENANT ENDPOINT-ID [NAME]': '\(content.prefix(80))'")
            }
            members.insert(RelayMember(tenant: String(words[0]), id: id))
        }
    }

    package var count: Int { members.count }

    func contains(_ member: RelayMember) -> Bool { members.contains(member) }
}

/// Files that are read whole, with a bound.
enum SmallFile {
    static func text(at path: FilePath, what: String, sizeBytesMax: Int) throws(EndpointError) -> String {
        var bytes: [UInt8] = []
        do {
            let file = try FileDescriptor.open(path, .readOnly)
            try file.closeAfter {
                var part = [UInt8](repeating: 0, count: 64 << 10)
                while bytes.count <= sizeBytesMax {
                    let count = try unsafe part.withUnsafeMutableBytes { unsafe try file.read(into: $0) }
                    if count == 0 { break }
                    bytes += part.prefix(count)
                }
            }
        } catch {
            throw EndpointError(.files, "\(what), \(path), cannot be read: \(error)")
        }
        guard bytes.count <= sizeBytesMax else {
            throw EndpointError(.files, "\(what), \(path), is larger than \(sizeBytesMax) bytes")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
