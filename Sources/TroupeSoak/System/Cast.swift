import Troupe

/// The actors of a soak, by name. Across sites they are at the one and the other in turns, so that whoever goes from one actor
/// to the next goes to another site.
struct Cast: Sendable {
    /// The sites of a soak across sites.
    static let sites = ["soak-a", "soak-b"]
    private static let letters = ["a", "b"]

    let names: [String]

    init(_ count: Int, run: String, acrossSites: Bool) {
        names = (0..<count).map { number in
            "\(run)-\(acrossSites ? Self.letters[number % Self.letters.count] : "s")\(number)"
        }
    }

    /// The actors at a site; of all, if there is one site only.
    func names(at site: String?) -> [String] { names.filter { Self.site(ofActor: $0) == site } }

    /// Nil if there is one site only.
    static func site(ofActor name: String) -> String? { site(of: name.split(separator: "-").last ?? "") }

    /// The name of a calling process; its lanes are named after it.
    static func caller(_ number: Int, at site: String?) -> String {
        guard let index = sites.firstIndex(where: { $0 == site }) else { return "c\(number)" }
        return "\(letters[index])c\(number)"
    }

    static func site(ofLane name: String) -> String? { site(of: name[...]) }

    static func isCrossing(_ lane: String, _ actor: String) -> Bool { site(ofLane: lane) != site(ofActor: actor) }

    private static func site(of name: Substring) -> String? {
        letters.firstIndex { name.hasPrefix($0) }.map { sites[$0] }
    }
}

extension Troupe {
    /// An actor of the soak, wherever it is.
    ///
    /// - Parameter site: of whoever asks.
    func soakActor(_ name: String, from site: String?) throws -> SoakActor {
        guard let there = Cast.site(ofActor: name), there != site else {
            return try handle(SoakActor.self, named: name)
        }
        return try handle(SoakActor.self, named: name, at: there)
    }
}
