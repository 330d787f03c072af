import TroupeCore

/// An actor on the command line: `TYPE/NAME`, `troupe://SITE/TYPE/NAME`, or a bare `NAME` to be looked up.
enum ActorReference: Hashable, Sendable {
    case id(ActorID)
    case name(String)

    init(parsing text: String) throws(ExchangeError) {
        if text.contains("/") {
            self = .id(try ActorID(parsing: text))
        } else {
            // The type is any valid one: this checks the name.
            _ = try ActorID(type: "any", name: text)
            self = .name(text)
        }
    }
}
