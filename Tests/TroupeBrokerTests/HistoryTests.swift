import Testing

@testable import TroupeBroker

/// Which brokers have lost what somebody has seen.
@Suite struct HistoryTests {
    /// What a broker's journal holds after so many steps in a run of that number.
    private func after(
        _ runs: [(id: UInt64, steps: Int)], from journal: [JournalKey: [UInt8]] = [:]
    ) throws -> (
        history: BrokerHistory, journal: [JournalKey: [UInt8]]
    ) {
        var journal = journal
        var history = BrokerHistory()
        for (id, steps) in runs {
            history = BrokerHistory()
            for (key, value) in journal { try history.restore(key.bytes, value) }
            history.begin(id)
            for _ in 0..<steps {
                for case .put(let key, let value) in history.counting([.delete(JournalKey(.actors, "a"))])
                where BrokerHistory.owns(key.bytes) {
                    journal[key] = value
                }
            }
        }
        return (history, journal)
    }

    @Test func aRestartThatKeptEverythingLosesNothing() throws {
        let (old, journal) = try after([(1, 3), (2, 5)])
        #expect(old.mark == HistoryMark(run: 2, step: 8))
        let (new, _) = try after([(3, 4)], from: journal)
        #expect(new.loss(old.mark) == nil)
        #expect(new.loss(HistoryMark(run: 1, step: 3)) == nil)
        #expect(new.loss(new.mark) == nil)
    }

    @Test func anOlderJournalIsFoundOutWhateverCameSince() throws {
        let (_, backup) = try after([(1, 3)])
        let (old, _) = try after([(1, 3), (2, 5)])
        let (again, _) = try after([(3, 100)], from: backup)
        #expect(again.loss(old.mark) == BrokerHistory.Loss(steps: nil))
        // The end of a run is missing.
        #expect(again.loss(HistoryMark(run: 1, step: 5)) == BrokerHistory.Loss(steps: 2))
        #expect(again.loss(HistoryMark(run: 1, step: 3)) == nil)
        let (new, _) = try after([(4, 1)])
        #expect(new.loss(old.mark) == BrokerHistory.Loss(steps: nil))
    }

    @Test func whoWasAwayForManyRunsIsToldOfWhatIsCertain() throws {
        let runs = (1...20).map { (id: UInt64($0), steps: 1) }
        let (history, _) = try after(runs)
        #expect(history.loss(HistoryMark(run: 2, step: 2)) == nil)
        #expect(history.loss(HistoryMark(run: 2, step: 19)) == BrokerHistory.Loss(steps: nil))
        #expect(history.loss(HistoryMark(run: 19, step: 19)) == nil)
    }

    @Test func leasesAreVoidOnceInARun() throws {
        var (history, _) = try after([(1, 1)])
        var amended = [history.amend(), history.amend()]
        history.begin(2)
        amended.append(history.amend())
        #expect(amended == [true, false, true])
    }
}
