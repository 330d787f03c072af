import CBOR
import Testing
import TroupeCore
import TroupeTesting

@testable import TroupeBroker

/// The sent form of operations and answers.
@Suite struct HostCodingTests {
    /// Operations and answers as they come about.
    private func samples(_ seed: UInt64, _ count: Int) -> (operations: [Operation], answers: [Answer]) {
        var generator = OperationGenerator(seed: seed)
        var machine = MailboxMachine(limits: generator.limits, place: generator.place)
        let clock = ManualClock()
        var samples: (operations: [Operation], answers: [Answer]) = ([], [])
        for _ in 0..<count {
            clock.advance(by: generator.pause())
            let operation = generator.next(now: clock.now())
            let answer = machine.perform(operation, now: clock.now())
            generator.observe(operation, answer)
            samples.operations.append(operation)
            samples.answers.append(answer)
        }
        return samples
    }

    private func operation(_ bytes: [UInt8]) throws -> Operation? {
        guard case .perform(let operation, _, _) = try BrokerRequest(decoding: bytes) else { return nil }
        return operation
    }

    @Test(arguments: UInt64(1)...20)
    func whatIsSentIsWhatArrives(_ seed: UInt64) throws {
        let (operations, answers) = samples(seed, 400)
        for operation in operations {
            let seen = operation.name.utf8.count % 2 == 0 ? nil : mark
            let bytes = try BrokerRequest.perform(operation, wait: .milliseconds(7), seen: seen).encoded()
            guard case .perform(let decoded, .milliseconds(7), seen) = try BrokerRequest(decoding: bytes) else {
                return #expect(Bool(false), "\(operation)")
            }
            #expect(decoded == operation)
        }
        for answer in answers { #expect(try coded(answer) == answer) }
    }

    private let mark = HistoryMark(run: .max - 1, step: 77)

    private func coded(_ answer: Answer) throws -> Answer? {
        let decoded = try BrokerAnswer(decoding: BrokerAnswer(mark, .answer(answer)).encoded())
        guard decoded.mark == mark, case .answer(let answer) = decoded.content else { return nil }
        return answer
    }

    @Test(arguments: [nil, 0, 1, UInt64.max]) func aLossArrives(_ steps: UInt64?) throws {
        let loss = BrokerHistory.Loss(steps: steps)
        let decoded = try BrokerAnswer(decoding: BrokerAnswer(mark, .wentBack(loss)).encoded())
        #expect(decoded.mark == mark)
        guard case .wentBack(loss) = decoded.content else { return #expect(Bool(false), "\(decoded)") }
    }

    @Test func oddDurationsAndAnswersArrive() throws {
        var options = ActorOptions()
        options.backoffBase = .nanoseconds(-1)
        options.backoffMax = Duration(secondsComponent: .max, attosecondsComponent: 1)
        let id = try ActorID(site: "s", type: "T", name: "a/b")
        let operation = Operation.register(ActorRegistration(id: id, options: options, state: [1], isEager: true))
        #expect(try self.operation(BrokerRequest.perform(operation, wait: .zero).encoded()) == operation)
        let answers: [Answer] = [
            .deliveries(
                Deliveries(items: [.cancel(actor: id, epoch: 3, CallID(unchecked: "c")), .drain], cursor: Cursor("9"))),
            .committed([.committedAndReleased(retryAt: Timestamp(milliseconds: -5)), .full(id), .fenced]),
            .released(.busy), .noSuchWorker, .ticked(nextDue: nil), .state([0xFF]),
        ]
        for answer in answers { #expect(try coded(answer) == answer) }
    }

    /// Bytes of anybody's are refused or read, and a machine performs what was read: nothing traps.
    @Test(arguments: UInt64(1)...20)
    func garbageIsRefused(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let (operations, answers) = samples(seed, 150)
        var machine = MailboxMachine()
        for operation in operations {
            var bytes = try BrokerRequest.perform(operation, wait: .zero).encoded()
            for _ in 0..<random.number(1...4) {
                bytes[random.number(0...bytes.count - 1)] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.chance(20) { bytes.removeLast(random.number(1...bytes.count)) }
            if let read = try? self.operation(bytes) { _ = machine.perform(read, now: Timestamp(milliseconds: 1)) }
        }
        for answer in answers {
            var bytes = try BrokerAnswer(mark, .answer(answer)).encoded()
            bytes[random.number(0...bytes.count - 1)] = UInt8(truncatingIfNeeded: random.next())
            _ = try? BrokerAnswer(decoding: bytes)
        }
        for count in 0..<64 {
            let noise = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = try? BrokerRequest(decoding: noise)
            _ = try? BrokerAnswer(decoding: noise)
        }
    }

    /// The hand-written form is what makes the hot path cheap, so it must stay the smaller one by far.
    @Test func aSendIsSmall() throws {
        let actor = try ActorID(type: "Counter", name: "a")
        let operation = Operation.send([.test("c-1", to: actor)], from: ClientID(unchecked: "c"), resuming: false)
        #expect(try BrokerRequest.perform(operation, wait: .zero).encoded().count < 80)
    }
}
