import Testing
import TroupeTesting

/// Known histories: the checker must accept the ones and refuse the others.
@Suite struct LinearizabilityTests {
    private typealias Register = HistoryEntry<RegisterModel>

    private func entry(
        _ operation: RegisterModel.Operation, _ called: Int64, _ returned: Int64?, _ answer: RegisterModel.Answer?,
        object: String = "r"
    ) -> HistoryEntry<RegisterModel> {
        HistoryEntry(object: object, operation: operation, called: called, returned: returned, answer: answer)
    }

    private func verdict(_ history: [HistoryEntry<RegisterModel>]) -> Linearizability.Verdict {
        Linearizability.check(history, as: RegisterModel.self)
    }

    @Test func concurrentReadsMaySeeEither() {
        let history = [
            entry(.write(1), 0, 10, .written), entry(.read, 1, 2, .value(0)), entry(.read, 3, 4, .value(1)),
        ]
        #expect(verdict(history) == .linearizable)
    }

    @Test func aReadDoesNotGoBack() {
        let history = [
            entry(.write(1), 0, 10, .written), entry(.read, 1, 2, .value(1)), entry(.read, 3, 4, .value(0)),
        ]
        #expect(verdict(history) == .violated(object: "r", longest: 2, of: 3))
    }

    @Test func aStaleReadAfterAWriteIsFound() {
        #expect(verdict([entry(.write(1), 0, 1, .written), entry(.read, 2, 3, .value(0))]) != .linearizable)
    }

    @Test func whatIsOpenMayHaveHappenedOrNot() {
        let open = entry(.write(7), 0, nil, nil)
        #expect(verdict([open, entry(.read, 5, 6, .value(0))]) == .linearizable)
        #expect(verdict([open, entry(.read, 5, 6, .value(7))]) == .linearizable)
        #expect(
            verdict([open, entry(.read, 1, 2, .value(0)), entry(.read, 5, 6, .value(7))]) == .linearizable)
        #expect(verdict([open, entry(.read, 1, 2, .value(7)), entry(.read, 5, 6, .value(0))]) != .linearizable)
    }

    @Test func whatIsOpenDoesNotHappenBeforeItIsCalled() {
        #expect(verdict([entry(.read, 1, 2, .value(7)), entry(.write(7), 3, nil, nil)]) != .linearizable)
    }

    @Test func onlyOneExchangeSucceeds() {
        let one = entry(.exchange(from: 0, to: 1), 0, 5, .exchanged(true))
        #expect(verdict([one, entry(.exchange(from: 0, to: 2), 1, 6, .exchanged(false))]) == .linearizable)
        #expect(verdict([one, entry(.exchange(from: 0, to: 2), 1, 6, .exchanged(true))]) != .linearizable)
    }

    @Test func objectsAreCheckedOneByOne() {
        let history = [
            entry(.write(1), 0, 1, .written, object: "a"), entry(.read, 2, 3, .value(0), object: "b"),
            entry(.read, 2, 3, .value(0), object: "a"),
        ]
        #expect(verdict(history) == .violated(object: "a", longest: 1, of: 2))
    }

    @Test func aBoundedSearchSaysThatItWasGivenUp() {
        let history = (0..<12).map { entry(.write($0), 0, 100, .written) } + [entry(.read, 0, 100, .value(99))]
        #expect(Linearizability.check(history, as: RegisterModel.self, stepsMax: 50) == .undecided(object: "r"))
    }

    @Test func aDoubleIncrementIsFound() {
        func add(_ number: Int, _ called: Int64, _ answer: Int) -> HistoryEntry<CounterModel> {
            HistoryEntry(object: "n", operation: number, called: called, returned: called + 1, answer: answer)
        }
        #expect(Linearizability.check([add(2, 0, 2), add(1, 2, 3)], as: CounterModel.self) == .linearizable)
        #expect(Linearizability.check([add(2, 0, 2), add(1, 2, 5)], as: CounterModel.self) != .linearizable)
    }

    @Test func aMemberIsInsertedOnce() {
        func insert(_ called: Int64, _ answer: Bool) -> HistoryEntry<SetModel> {
            HistoryEntry(object: "s", operation: .insert(3), called: called, returned: called + 5, answer: answer)
        }
        #expect(Linearizability.check([insert(0, true), insert(1, false)], as: SetModel.self) == .linearizable)
        #expect(Linearizability.check([insert(0, true), insert(1, true)], as: SetModel.self) != .linearizable)
    }
}
