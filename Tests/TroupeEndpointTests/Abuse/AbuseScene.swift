import Synchronization
import Testing
import Troupe
import TroupeCore
import TroupeRuntime

@testable import TroupeEndpoint

/// A site with two others that it trusts: one that works with it, and one that misbehaves and speaks by hand.
struct AbuseScene {
    let victim: Site
    let friend: Site
    let villain = Site("lab-m")
    let log = LinkLog()
    let status: EndpointStatus
    private let book: Notebook

    /// - Parameter policy: what the misbehaving site may do.
    init(files: SiteFiles? = nil, policy: SitePolicy = SitePolicy()) async throws {
        victim = Site("lab-a", files: files)
        friend = Site("lab-b")
        var trusted = villain.trusted()
        trusted.policy = policy
        status = try await victim.startEndpoint(trusting: [friend.trusted(), trusted], logger: log.logger).status
        _ = try await friend.startEndpoint(
            trusting: [victim.trusted(at: status.listens[0])], listens: false)
        _ = try await victim.startWorker()
        book = try await (try await friend.join()).spawn(Notebook.self, named: "friends", at: "lab-a")
    }

    var address: HostPort { get throws { try HostPort(parsing: status.listens[0]) } }

    /// A connection with the key of the misbehaving site, or another.
    func connect(as key: EndpointKey? = nil, at other: HostPort? = nil) async throws -> MuxConnection {
        try await DirectDialler.connect(
            to: [try other ?? address], expecting: victim.key.id, key: key ?? villain.key, logger: .quiet)
    }

    /// Runs the body while the other site calls an actor of the victim over and over: each call is answered, in order, and
    /// some of them begin after the body has ended.
    func undisturbed(_ body: () async throws -> Void) async throws {
        let isOver = Mutex(false)
        let calling = Task { [book] in
            var count = 0
            var after = 0
            while after < 5 {
                if isOver.withLock({ $0 }) { after += 1 }
                count += 1
                let noted = try await book.note(count)
                #expect(noted == count)
            }
            return count
        }
        do {
            try await body()
        } catch {
            calling.cancel()
            throw error
        }
        isOver.withLock { $0 = true }
        let count = try await calling.value
        #expect(try await book.entries() == Array(1...count))
    }

    func parcel(_ number: UInt64, _ change: (inout Envelope) throws -> Void = { _ in }) throws -> Parcel {
        var envelope = Envelope(
            id: CallID(unchecked: "call-\(number)"), kind: .tell, target: try ActorID(type: "Notebook", name: "target"),
            sender: "Notebook/villain", method: "note(_:)", arguments: [0x81, 0x01],
            sentAt: Timestamp(milliseconds: 0))
        try change(&envelope)
        return Parcel(
            number: number, envelope: envelope, isRepeat: false, age: 0, remaining: nil,
            wantsOutcome: envelope.kind == .request)
    }

    /// What became of parcels that are sent by hand.
    func deliver(_ parcels: [Parcel], on connection: MuxConnection) async throws -> [Settlement.Result] {
        let stream = try await connection.openStream(for: .mail)
        defer { stream.reset() }
        try await FrameStream(stream).write(MailFrame.deliver(source: "0.1", parcels))
        var reader = FrameReader(stream)
        while let frame = try await reader.next(MailFrame.self) {
            if case .settled(let settlements) = frame { return settlements.map(\.result) }
        }
        return []
    }
}
