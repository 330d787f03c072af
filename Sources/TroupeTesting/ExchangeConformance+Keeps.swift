import TroupeCore

extension ExchangeConformance {
    static let keepClauses = [
        Clause("what is kept for a holder stays until the time is over", keepsForATime),
        Clause("a keep ends at once when its holder ends it, and no other holder's", endsOneKeep),
        Clause("a keep is not shortened by a shorter one", doesNotShorten),
        Clause("what is not counted is not kept", keepsOnlyWhatIsCounted),
        Clause("other sites' objects are listed while they are counted, page by page", listsForeignObjects),
    ]

    /// A worker, and an object that an actor's state refers to.
    private static func object(_ scene: Scene, _ id: String) async throws -> (worker: WorkerID, actor: ActorID) {
        (try await scene.worker(), try await scene.actor("a", references: [id]))
    }

    private static func drop(_ scene: Scene, _ actor: ActorID) async throws {
        _ = try await scene.perform(.editState(actor, .init(bytes: [0x02])))
    }

    @Sendable private static func keepsForATime(_ scene: Scene) async throws {
        let (worker, actor) = try await object(scene, "mem:x")
        let kept = try await scene.perform(.keep(["mem:x"], by: "lab-b", for: .seconds(10)))
        try expect(kept, is: .objects(["mem:x"]), "what is kept")
        try await drop(scene, actor)
        try await scene.pass(.seconds(9))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while it is kept")
        try expect(await scene.perform(.counted(["mem:x", "mem:y"])), is: .objects(["mem:x"]), "what is counted")
        _ = try await scene.perform(.keep(["mem:x"], by: "lab-b", for: .seconds(10)))
        try await scene.pass(.seconds(9))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while it is kept longer")
        try await scene.pass(.seconds(1))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after the time")
        try expect(await scene.perform(.counted(["mem:x"])), is: .objects([]), "what is counted after it")
    }

    @Sendable private static func endsOneKeep(_ scene: Scene) async throws {
        let (worker, actor) = try await object(scene, "mem:x")
        for holder in ["lab-b", "lab-c"] {
            _ = try await scene.perform(.keep(["mem:x"], by: holder, for: .seconds(100)))
        }
        try await drop(scene, actor)
        _ = try await scene.perform(.keep(["mem:x"], by: "lab-b", for: .zero))
        _ = try await scene.perform(.keep(["mem:x"], by: "lab-b", for: .zero))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while another one keeps it")
        try expect(
            await scene.perform(.keep(["mem:x"], by: "lab-c", for: .zero)), is: .objects([]), "the end of a keep")
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after both")
        try await scene.pass(.seconds(100))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage when the time is over")
    }

    @Sendable private static func doesNotShorten(_ scene: Scene) async throws {
        let (worker, actor) = try await object(scene, "mem:x")
        _ = try await scene.perform(.keep(["mem:x"], by: "lab-b", for: .seconds(100)))
        _ = try await scene.perform(.keep(["mem:x"], by: "lab-b", for: .seconds(1)))
        try await drop(scene, actor)
        try await scene.pass(.seconds(99))
        try expect(await scene.garbage(seenBy: worker), is: [], "garbage while it is kept")
        try await scene.pass(.seconds(1))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage after it")
    }

    @Sendable private static func keepsOnlyWhatIsCounted(_ scene: Scene) async throws {
        let (worker, actor) = try await object(scene, "mem:x")
        let kept = try await scene.perform(.keep(["mem:other", "mem:x"], by: "lab-b", for: .seconds(10)))
        try expect(kept, is: .objects(["mem:x"]), "what is kept")
        _ = try await scene.perform(.keep(["mem:other"], by: "lab-b", for: .zero))
        try await drop(scene, actor)
        try await scene.pass(.seconds(10))
        try expect(await scene.garbage(seenBy: worker), is: ["mem:x"], "garbage")
        let again = try await scene.perform(.keep(["mem:x"], by: "lab-b", for: .seconds(10)))
        try expect(again, is: .objects([]), "what is kept of the garbage")
    }

    @Sendable private static func listsForeignObjects(_ scene: Scene) async throws {
        let ids = ["site:lab-b/objects/1", "site:lab-b/objects/2", "site:lab-c/objects/1"]
        let actor = try await scene.actor("a", references: ids + ["objects/1"])
        _ = try await scene.perform(.hold(["site:lab-d/objects/1"], for: .seconds(5)))
        func listed(_ after: String?, _ limit: Int) async throws -> Answer {
            try await scene.perform(.foreignObjects(after: after, limit: limit))
        }
        try expect(await listed(nil, 10), is: .objects(ids + ["site:lab-d/objects/1"]), "all of them")
        try expect(await listed(nil, 2), is: .objects(Array(ids.prefix(2))), "the first page")
        try expect(await listed(ids[1], 1), is: .objects([ids[2]]), "a page behind it")
        try await scene.pass(.seconds(5))
        try expect(await listed(ids[2], 10), is: .objects([]), "what is held no more")
        _ = try await scene.perform(.editState(actor, .init(bytes: [0x02], references: [ids[1]])))
        try expect(await listed(nil, 10), is: .objects([ids[1]]), "what is left")
    }
}
