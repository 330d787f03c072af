/// Prints a listing that comes in pages: one table, or one JSON array, however many pages there are.
struct Rows<Row: Encodable> {
    private let terminal: Terminal
    private let isJSON: Bool
    private var table: Table
    private let cells: (Row) -> [Table.Cell]
    private var count = 0
    private var hasBegun = false

    init(
        _ terminal: Terminal, json: Bool, columns: [Table.Column], cells: @escaping (Row) -> [Table.Cell]
    ) {
        self.terminal = terminal
        isJSON = json
        table = Table(columns)
        self.cells = cells
    }

    mutating func print(_ rows: [Row]) throws {
        if isJSON {
            for row in rows {
                try terminal.print((count == 0 ? "[" : ",") + JSONText.of(row))
                count += 1
            }
        } else {
            for row in rows { table.add(cells(row)) }
            try terminal.print(lines: table.takeLines(withHeader: !hasBegun, coloured: terminal.isColoured))
            hasBegun = true
        }
    }

    /// Ends the listing; must be called once, after the last page.
    mutating func finish() throws {
        if isJSON {
            try terminal.print(count == 0 ? "[]" : "]")
        } else if !hasBegun {
            try print([])
        }
    }
}
