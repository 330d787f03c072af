import TroupeCore

extension OperationGenerator {
    /// Actors go to other sites and come from there.
    mutating func moving() -> Operation {
        switch random.number(0...99) {
        case ..<30: .divert(random.chance(30) ? pickHeld()?.actor ?? actors[0] : random.pick(actors), to: site())
        case ..<35: .divert(random.pick(actors), to: nil)
        case ..<50: .transfer(goingOrAny())
        case ..<62: .adopt(arriving())
        case ..<70: .adopt(returning())
        default: endMove()
        }
    }

    mutating func site() -> String { random.pick(["lab", "zürich"]) }

    private mutating func goingOrAny() -> ActorID {
        going.isEmpty || random.chance(20) ? random.pick(actors) : random.pick(going)
    }

    /// One that was seen, also under another move's id, or a new one.
    private mutating func arriving() -> ActorTransfer {
        let id = "lab/0.\(random.number(1...4))"
        guard !transfers.isEmpty, random.chance(60) else {
            return ActorTransfer(id: id, registration: registration(random.pick(actors)), timers: [beat(), beat()])
        }
        var transfer = random.pick(transfers)
        if random.chance(80) { transfer.id = id }
        if random.chance(40) { transfer.registration = registration(random.pick(actors)) }
        return transfer
    }

    /// One that had left, mostly by that move, from there and known to whoever has its mailbox.
    private mutating func returning() -> ActorTransfer {
        guard let actor = left.keys.sorted().randomElement(using: &random), let move = left[actor] else {
            return arriving()
        }
        let holder = held[actor].map { Homecoming.Holder(worker: $0.worker, epoch: $0.epoch) }
        return ActorTransfer(
            id: "\(random.chance(85) ? move.site : site())/0.\(random.number(1...9))",
            registration: registration(actor), timers: random.chance(30) ? [beat()] : [],
            homecoming: Homecoming(
                number: random.chance(90) ? move.number : move.number + 1,
                holder: random.chance(80) ? holder : nil))
    }

    private mutating func beat() -> TimerChange {
        .set(
            name: random.pick(timers), after: .milliseconds(random.pick([0, 25, 300])),
            interval: random.chance(50) ? .milliseconds(400) : nil, method: "beat()", arguments: bytes(1...3),
            references: random.chance(30) ? objectIDs(1...2) : [])
    }

    private mutating func endMove() -> Operation {
        let end: MoveEnd = random.chance(55) ? .arrived : .refused(reason: "there is ‘one’ already")
        let actor = goingOrAny()
        guard let activation = held[actor] else { return claim() }
        return .endMove(
            random.chance(95) ? activation.worker : random.pick(workers), actor: actor,
            epoch: random.chance(95) ? activation.epoch : activation.epoch &- 1, end)
    }
}
