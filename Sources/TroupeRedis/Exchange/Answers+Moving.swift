internal import TroupeCore

extension Answer {
    /// The answer where an actor that has moved cannot be dealt with here.
    static func refusingMove(_ reply: RedisReply) throws(ExchangeError) -> Answer? {
        guard reply.array?.first?.text == "move" else { return nil }
        var row = try ReplyRow(reply)
        _ = try row.text()
        return .move(try row.move())
    }

    static func transfer(_ reply: RedisReply) throws(ExchangeError) -> ActorTransfer {
        var row = try ReplyRow(reply)
        let id = try row.actor()
        let about = try RecordCoding.about(row.bytes())
        let registration = ActorRegistration(
            id: id, pool: about.pool, labels: about.labels, options: about.options, state: try row.bytes(),
            stateReferences: try row.texts(), isEager: try row.flag())
        let number = try row.number()
        let timers = try row.rows { row throws(ExchangeError) in try timer(&row) }
        let arrival = try row.optional { row throws(ExchangeError) in try row.text() }
        return ActorTransfer(
            id: "\(number)", registration: registration,
            timers: timers.sorted { $0.name.precedesInBytes($1.name) }.map(\.change),
            homecoming: arrival.flatMap(Homecoming.init(arrival:)))
    }

    private static func timer(_ row: inout ReplyRow) throws(ExchangeError) -> (name: String, change: TimerChange) {
        let name = try row.text()
        let after = Duration.milliseconds(try row.integer())
        let interval = try row.optional { row throws(ExchangeError) in Duration.milliseconds(try row.integer()) }
        let method = try row.text()
        let arguments = try row.bytes()
        let references = try row.texts()
        return (
            name,
            .set(
                name: name, after: after, interval: interval, method: method, arguments: arguments,
                references: references)
        )
    }
}

extension ReplyRow {
    /// Where an actor goes or has gone; nil for nowhere.
    mutating func move() throws(ExchangeError) -> ActorMove? {
        guard let reply = try optional({ row throws(ExchangeError) in try row.next() }) else { return nil }
        var row = try ReplyRow(reply)
        let site = try row.text()
        let number = try row.number()
        let word = try row.text()
        guard let phase = ActorMove.Phase(rawValue: word) else {
            throw ExchangeError(
                .unsupportedVersion, "a move is '\(word)', which this version does not know; upgrade it")
        }
        return ActorMove(
            site: site, number: number, phase: phase,
            reason: try row.optional { row throws(ExchangeError) in try row.text() })
    }
}
