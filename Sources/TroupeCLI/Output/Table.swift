/// Rows under a header, in aligned columns.
struct Table {
    struct Column {
        var title: String
        var isNumeric = false
        /// For a table whose header is printed before its rows are known.
        var widthMin = 0

        static func text(_ title: String) -> Column { Column(title: title) }
        static func number(_ title: String) -> Column { Column(title: title, isNumeric: true) }
    }

    struct Cell: ExpressibleByStringInterpolation {
        var text: String
        var style: Style = .plain

        init(_ text: String, _ style: Style = .plain) {
            self.text = Escape.line(text)
            self.style = style
        }
        init(stringLiteral value: String) { self.init(value) }
        init(_ number: some BinaryInteger, _ style: Style = .plain) { self.init("\(number)", style) }
    }

    let columns: [Column]
    private(set) var rows: [[Cell]] = []
    /// Columns never get narrower than on an earlier page of the same table.
    private var widths: [Int]

    init(_ columns: [Column]) {
        self.columns = columns
        widths = columns.map { max($0.title.count, $0.widthMin) }
    }

    mutating func add(_ row: [Cell]) {
        precondition(row.count == columns.count, "a row has one cell a column")
        rows.append(row)
        for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.text.count) }
    }

    /// Takes the rows that were added since the last time, as lines.
    mutating func takeLines(withHeader: Bool, coloured: Bool) -> [String] {
        var lines: [String] = []
        if withHeader { lines.append(line(columns.map { Cell($0.title, .strong) }, coloured: coloured)) }
        for row in rows { lines.append(line(row, coloured: coloured)) }
        rows = []
        return lines
    }

    private func line(_ cells: [Cell], coloured: Bool) -> String {
        var line = ""
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: max(0, widths[index] - cell.text.count))
            let text = coloured ? cell.style.apply(cell.text) : cell.text
            let isLast = index == cells.count - 1
            line += columns[index].isNumeric ? padding + text : text + (isLast ? "" : padding)
            if !isLast { line += "  " }
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
