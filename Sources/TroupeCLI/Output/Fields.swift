/// Names and values below each other.
enum Fields {
    static func lines(_ fields: [(name: String, value: String)], terminal: Terminal) -> [String] {
        let width = fields.map(\.name.count).max() ?? 0
        return fields.map { field in
            let padding = String(repeating: " ", count: width - field.name.count)
            return terminal.styled(field.name, .strong) + padding + "  " + Escape.line(field.value)
        }
    }
}
