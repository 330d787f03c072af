/// Ids of objects that lie at other sites, as an exchange counts them: `site:NAME/STORE/KEY`.
package enum SiteObject {
    package static let mark = "site:"

    package static func isForeign(_ id: String) -> Bool { id.utf8.starts(with: mark.utf8) }

    /// How the site at hand calls an object of another one.
    package static func id(_ id: String, at site: String) -> String { "\(mark)\(site)/\(id)" }

    /// The site of such an id, and how that site calls the object; nil for an object of the site at hand.
    package static func split(_ id: String) -> (site: String, id: String)? {
        guard isForeign(id), let slash = id.firstIndex(of: "/") else { return nil }
        let site = id[..<slash].dropFirst(mark.utf8.count)
        return (String(site), String(id[id.index(after: slash)...]))
    }
}
