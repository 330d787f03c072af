public import Distributed
public import TroupeCore

/// A state that can begin without arguments, such as a struct whose properties all have defaults.
public protocol ActorState: Codable, Sendable {
    init()
}

/// The state of an actor that keeps none.
public struct NoState: ActorState, Hashable {
    public init() {}
}

/// An actor whose state and mailbox live in an exchange.
///
/// The runtime brings it to life from its state on any worker that hosts its type, runs one message at a time, and
/// commits the state, the acknowledgement and everything the turn sent together. `state` is a value: when a turn throws,
/// it is put back to what it was before the turn.
///
/// ```swift
/// distributed actor Counter: StatefulActor {
///     struct State: ActorState { var count = 0 }
///     var state: State
///     init(state: State, actorSystem: Troupe) { self.state = state; self.actorSystem = actorSystem }
///     distributed func add(_ n: Int) -> Int { state.count += n; return state.count }
/// }
/// ```
public protocol StatefulActor: DistributedActor where ActorSystem == Troupe {
    /// What is kept between turns.
    associatedtype State: Codable & Sendable

    /// Changed in turns only; a change made elsewhere is kept only if a later turn commits.
    var state: State { get set }

    init(state: State, actorSystem: Troupe)

    /// The stable name under which messages find the type; the type's own name unless it says otherwise.
    static var wireName: String { get }

    /// The state of a new actor for which none was given; nil if the type needs one.
    static var initialState: State? { get }

    /// Bounds and policies of the type's actors.
    static var options: ActorOptions { get }

    /// Whether its actors are brought to life without waiting for a message, and again when their worker dies: for those
    /// with ``whileActive()``.
    static var isEager: Bool { get }

    /// Called when an activation begins, before its first turn. If it throws, the activation counts as a failed attempt
    /// and is tried again later.
    func didActivate() async throws

    /// Background work of an activation. Its task is cancelled when the activation ends. It runs beside turns, so it does
    /// not touch `state`: it sends messages to its own handle instead.
    func whileActive() async throws

    /// Called before the activation ends because it is idle or its worker is going.
    func willPassivate() async
}

extension StatefulActor {
    public static var wireName: String { "\(Self.self)" }
    public static var initialState: State? { nil }
    public static var options: ActorOptions { ActorOptions() }
    public static var isEager: Bool { false }
    public func didActivate() async throws {}
    public func whileActive() async throws {}
    public func willPassivate() async {}

    /// A handle to this actor, through its mailbox: what an actor uses to send messages to itself.
    public nonisolated var handle: Self {
        get throws { try Self.resolve(id: id, using: actorSystem) }
    }
}

extension StatefulActor where State: ActorState {
    public static var initialState: State? { State() }
}
