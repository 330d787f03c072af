import CBOR
import Testing
import TroupeCore

@testable import TroupeCLI

@Suite("The words of other sites on the command line")
struct EndpointCommandTests {
    @Test("a method's full name is enough where nobody can be asked")
    func fullNames() {
        #expect(MethodLookup.described("add(_:)")?.labels == ["_"])
        #expect(MethodLookup.described("transfer(to:_:)")?.labels == ["to", "_"])
        #expect(MethodLookup.described("work()")?.labels == [])
        for word in ["add", "(_:)", "add(_)", "add(_:", ""] { #expect(MethodLookup.described(word) == nil) }
    }

    @Test("at home this site's own name means the same as none", .timeLimit(.minutes(1)))
    func ownName() async throws {
        let exchange = Exchange.inMemory()
        let mailbox = ActorRegistration(
            id: try ActorID(mailboxOfSite: "lab-a"), pool: ActorID.carrierPool,
            labels: [LocalSiteName.label: LocalSiteName.labelValue], state: [0xF6])
        _ = try await exchange.shard(of: mailbox.id).perform(.register(mailbox))
        let id = try await exchange.spawn("Counter/hits")
        let plain = await CommandRun.of(["actor", "ls", "--type", "Counter"], on: exchange)
        let named = await CommandRun.of(
            ["actor", "ls", "--type", "Counter", "--site", "lab-a", "--timeout", "5s"], on: exchange)
        #expect(named.failure == nil && named.lines == plain.lines)
        let stat = await CommandRun.of(["mailbox", "stat", "troupe://lab-a/\(id)", "--timeout", "5s"], on: exchange)
        #expect(stat.failure == nil && stat.lines.first?.hasSuffix(" Counter/hits") == true)
        let move = await CommandRun.of(["actor", "move", "\(id)", "--to", "lab-a", "--timeout", "5s"], on: exchange)
        #expect(move.failure == Failure(.usage, "Counter/hits is at site lab-a; name another one with --to"))
        let sites = await CommandRun.of(["mailbox", "stat", "\(mailbox.id)", "--json"], on: exchange)
        #expect(sites.output.contains(#""lastSequence":0"#), "nothing was sent to the own site")
    }

    @Test("a site that does not answer is named, and not the id of a call that nobody made", .timeLimit(.minutes(1)))
    func silentSite() async throws {
        let exchange = Exchange.inMemory()
        let mailbox = ActorRegistration(
            id: try ActorID(mailboxOfSite: "lab-b"), pool: ActorID.carrierPool, state: [0xF6])
        _ = try await exchange.shard(of: mailbox.id).perform(.register(mailbox))
        let there = try await Sites(home: exchange, timeout: .milliseconds(50)).exchange(of: "lab-b")
        let error = await #expect(throws: ExchangeError.self) { try await there.shards[0].perform(.types) }
        #expect(error?.code == .deadlineExceeded)
        #expect(error?.message.contains("site lab-b did not answer 'types'") == true, "\(error?.message ?? "")")
        let call = await CommandRun.of(
            ["actor", "call", "troupe://lab-b/Counter/hits", "add", "1", "--timeout", "50ms"], on: exchange)
        #expect(call.exitCode == 2 && call.failure?.message.contains("such as 'add(_:)'") == true)
    }

    @Test("the types of the runtime's own errors are for scripts")
    func ownErrors() throws {
        let error = try CBOREncoder().encode(["type": SiteRequest.deadLettered, "message": "it lies there"])
        let text = OutcomeText(id: CallID(unchecked: "c"), outcome: Outcome(.failed, payload: error))
        #expect(text.errorType == "@deadLettered")
        #expect(text.failure(of: "the call")?.message == "the call failed: it lies there")
    }

    @Test("a message that was taken by another site is not shown as the bytes that say so")
    func taken() throws {
        let outcome = OutcomeText(
            id: CallID(unchecked: "c"), outcome: Outcome(.committed, payload: SiteRequest.taken))
        #expect(try outcome.resultLine.hasPrefix("in its mailbox at the other site"))
    }
}
