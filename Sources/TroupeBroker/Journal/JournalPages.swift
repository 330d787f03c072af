/// The rows of one table in the order of their keys, read a page at a time.
package struct JournalPages: Sendable {
    package typealias Row = (key: [UInt8], value: [UInt8])

    private let file: JournalFile?
    private let table: JournalTable
    private let limit: Int
    private var last: [UInt8]?
    private var isDone = false

    init(file: JournalFile?, table: JournalTable, limit: Int) {
        precondition(limit > 0, "a page of no rows")
        self.file = file
        self.table = table
        self.limit = limit
    }

    /// The next page; nil after the last one.
    package mutating func next() throws(BrokerError) -> [Row]? {
        guard let file, !isDone else { return nil }
        let rows = try file.rows(table, after: last, limit: limit)
        isDone = rows.count < limit
        last = rows.last?.key
        return rows.isEmpty ? nil : rows
    }

    /// Hands every row to the body.
    package mutating func forEach(_ body: (Row) throws(BrokerError) -> Void) throws(BrokerError) {
        while let page = try next() {
            for row in page { try body(row) }
        }
    }
}
