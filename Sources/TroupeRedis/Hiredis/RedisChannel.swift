internal import Synchronization

/// One connection as the loop sees it: commands go in from any thread, in order; replies are matched to them.
///
/// `queue` is what callers touch; `transport` is what the loop touches. Whoever needs both locks `transport` first, and
/// results are handed out with neither held.
final class RedisChannel: LoopSource, Sendable {
    struct Limits: Sendable {
        var replySizeBytesMax: Int
        var replyElementCountMax: Int
        var commandsInFlightMax: Int
        var unsentSizeBytesMax: Int
    }

    private struct Queue: Sendable {
        var output = OutputBuffer()
        var inFlight = InFlightQueue()
        var end: RedisError?
        var isFlushScheduled = false
        /// The moment for which a timer is set.
        var timerAt = UInt64.max
    }

    let address: String
    let loop: RedisLoop
    private let limits: Limits
    /// Whether only the loop may send: a TLS session belongs to its thread.
    private let isBoundToLoop: Bool
    private let queue = Mutex(Queue())
    private let transport: Mutex<Transport?>

    private init(
        _ socket: consuming Descriptor, address: String, tls: TLSEngine.Setup?, limits: Limits, loop: RedisLoop
    ) {
        self.address = address
        self.loop = loop
        self.limits = limits
        isBoundToLoop = tls != nil
        transport = Mutex(Transport(socket: socket, address: address, tls: tls, limits: limits))
    }

    /// Begins to connect. Commands may be submitted at once; they fail if the connection does not come about.
    static func open(
        to target: SystemAddress, address: String, tls: TLSEngine.Setup?, limits: Limits, loop: RedisLoop
    ) throws(RedisError) -> RedisChannel {
        switch Descriptor.connecting(to: target) {
        case .failure(let failure):
            throw .unreachable(address, failure.text)
        case .success(let number):
            let channel = RedisChannel(
                Descriptor(owning: number), address: address, tls: tls, limits: limits, loop: loop)
            let isWatched = channel.transport.withLock { transport in
                transport?.token = loop.watch(number, forWriting: true, channel)
                return transport?.token != nil
            }
            guard isWatched else { throw .unreachable(address, "the system refused to watch another socket") }
            return channel
        }
    }

    /// Why the connection has ended, if it has.
    var end: RedisError? { queue.withLock { $0.end } }

    // MARK: Commands

    /// Accepts a command or completes `sink` with the reason why not. Commands are sent in the order of these calls: by
    /// the loop, which joins what comes at about the same time into one write, or, if it `isUrgent` and the loop sleeps,
    /// at once from this thread, which saves waking another.
    func submit(_ arguments: [RedisArgument], timeout: Duration?, isUrgent: Bool = false, sink: InFlight.Sink) {
        precondition(!arguments.isEmpty, "a command needs a name")
        let deadline = timeout.map { monotonicNanoseconds().advanced(by: $0) } ?? .max
        let command = InFlight(sink: sink, deadline: deadline, timeout: timeout, name: arguments[0])
        let (refusal, mustFlush, mustArm) = queue.withLock { queue -> (RedisError?, Bool, Bool) in
            if let refusal = self.refusal(queue) { return (refusal, false, false) }
            queue.output.append(command: arguments)
            queue.inFlight.append(command)
            defer {
                queue.isFlushScheduled = true
                queue.timerAt = min(queue.timerAt, deadline)
            }
            return (nil, !queue.isFlushScheduled, deadline < queue.timerAt)
        }
        if let refusal { return sink.complete(.failure(refusal)) }
        if mustFlush { isUrgent && !isBoundToLoop ? flushNow() : loop.flushSoon(self) }
        if mustArm { armTimer(at: deadline) }
    }

    private func flushNow() {
        if !loop.flushSoonIfAwake(self) { flush() }
    }

    private func refusal(_ queue: borrowing Queue) -> RedisError? {
        if let end = queue.end {
            return RedisError(.notConnected, address: address, "the command was not sent: \(end.message)")
        }
        if queue.inFlight.count >= limits.commandsInFlightMax {
            return RedisError(
                .overloaded, address: address,
                "\(limits.commandsInFlightMax) commands already wait for replies; send fewer at a time")
        }
        if queue.output.count > limits.unsentSizeBytesMax {
            return RedisError(
                .overloaded, address: address,
                "\(queue.output.count) bytes already wait to be sent; the server or the network is too slow")
        }
        return nil
    }

    /// Ends the connection; all commands under way fail with `error`. Callable from anywhere, also twice.
    func close(_ error: RedisError) {
        let abandoned: [InFlight]? = queue.withLock { queue in
            guard queue.end == nil else { return nil }
            queue.end = error
            queue.output = OutputBuffer()
            return queue.inFlight.removeAll()
        }
        guard let abandoned else { return }
        for command in abandoned { command.sink.complete(.failure(error)) }
        if loop.isCurrent {
            release()
        } else {
            loop.schedule(at: 0) { self.release() }
        }
    }

    private func release() {
        transport.withLock { transport in
            guard let token = transport?.token, let number = transport?.socket.number else { return }
            loop.endWatch(number, token: token)
            transport = nil
        }
    }

    // MARK: Sending and receiving

    /// On the loop.
    func ready(canRead: Bool, canWrite: Bool) {
        var replies: [RedisReply] = []
        let failure: RedisError? = transport.withLock { transport in
            do throws(RedisError) {
                if transport?.isConnecting == true {
                    guard canWrite else { return nil }
                    try transport?.finishConnecting()
                } else if canRead {
                    try transport?.receive(into: &replies)
                }
                try transmit(&transport)
                return nil
            } catch { return error }
        }
        deliver(replies)
        if let failure { close(failure) }
    }

    /// On the loop, or on the thread of an urgent command.
    func flush() {
        queue.withLock { $0.isFlushScheduled = false }
        let failure: RedisError? = transport.withLock { transport in
            do throws(RedisError) {
                try transmit(&transport)
                return nil
            } catch { return error }
        }
        guard let failure else { return }
        // Whoever sends may hold locks that those who learn of the end need.
        if loop.isCurrent { close(failure) } else { loop.schedule(at: 0) { self.close(failure) } }
    }

    private func transmit(_ transport: inout Transport?) throws(RedisError) {
        guard let token = transport?.token, transport?.isConnecting == false else { return }
        let isLeft = try transport?.transmit { output in queue.withLock { swap(&$0.output, &output) } } ?? false
        guard isLeft != transport?.isWatchedForWriting, let number = transport?.socket.number else { return }
        transport?.isWatchedForWriting = isLeft
        loop.changeWatch(number, token: token, forWriting: isLeft)
    }

    private func deliver(_ replies: [RedisReply]) {
        guard !replies.isEmpty else { return }
        let commands = queue.withLock { queue in
            var commands: [InFlight] = []
            commands.reserveCapacity(replies.count)
            for _ in replies {
                guard let command = queue.inFlight.popFirst() else { break }
                commands.append(command)
            }
            return commands
        }
        for (command, reply) in zip(commands, replies) { command.sink.complete(.success(reply)) }
        if commands.count < replies.count {
            close(RedisError(.notRedis, address: address, "a reply came that no command had asked for"))
        }
    }

    // MARK: Time

    private func armTimer(at deadline: UInt64) {
        loop.schedule(at: deadline) { [weak self] in self?.expire() }
    }

    /// Fails the commands whose time is up. One timer serves all commands: it is set for the earliest deadline at
    /// the time and looks again when it rings, so that a command that is answered in time never touches a timer.
    private func expire() {
        let (expired, next) = queue.withLock { queue in
            let (expired, next) = queue.inFlight.expire(now: monotonicNanoseconds())
            queue.timerAt = next
            return (expired, next)
        }
        if next != .max { armTimer(at: next) }
        for command in expired {
            let after = command.timeout.map { "\($0)" } ?? "its time"
            command.sink.complete(
                .failure(
                    RedisError(
                        .timedOut, address: address,
                        "\(command.name.text) got no reply within \(after); it may still be executed")))
        }
    }
}

extension UInt64 {
    /// Nanoseconds `duration` later, without overflow.
    func advanced(by duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return self }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowSum) = addingReportingOverflow(whole &+ UInt64(attoseconds / 1_000_000_000))
        return overflow || overflowSum ? .max : sum
    }
}
