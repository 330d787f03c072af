import Synchronization
import TroupeCore

/// Frames over a socket. One thread waits for what comes in, and runs what that wakes, as far as it is quick
/// (``ArrivalThread``); what goes out is written by whoever has it.
final class DirectConnection: Sendable {
    /// Takes the frames that came in together; throws to end the connection.
    typealias Receiver = @Sendable (DirectConnection, [DirectFrame]) throws -> Void

    private struct Output {
        /// What the socket did not take; a thread of its own writes it.
        var waiting: [UInt8] = []
        var isClosed = false
        var hasEnded = false
    }

    private let socket: DirectSocket
    private let name: String
    private let output = Mutex(Output())
    /// Used by the reading thread only.
    private let input: Mutex<DirectFrameReader>
    private let receiver: Receiver
    private let onEnd: @Sendable (DirectConnection, (any Error)?) -> Void

    /// Bytes that may wait for a reader that does not read.
    private static let waitingSizeBytesMax = 16 << 20
    private static let bufferSizeBytes = 64 << 10

    /// - Parameters:
    ///   - name: of the thread.
    ///   - onEnd: called once, with the error that ended it, if it was one.
    init(
        _ socket: DirectSocket, name: String, sizeBytesMax: Int, receiver: @escaping Receiver,
        onEnd: @escaping @Sendable (DirectConnection, (any Error)?) -> Void
    ) {
        self.socket = socket
        self.name = name
        input = Mutex(DirectFrameReader(sizeBytesMax: sizeBytesMax))
        self.receiver = receiver
        self.onEnd = onEnd
    }

    func start() { startThread(name: name) { self.read() } }

    /// After the first frame: longer ones are taken, and waited for without end.
    func open() {
        input.withLock { $0.sizeBytesMax = DirectFrame.sizeBytesMax }
        socket.setPatience(.zero)
    }

    // MARK: In

    /// Until the connection ends, or another thread has taken over.
    private func read() {
        let thread = ArrivalThread { self.start() }
        var isOver = false
        withUnsafeTemporaryAllocation(byteCount: Self.bufferSizeBytes, alignment: 16) { buffer in
            while !isOver {
                guard let count = socket.receive(into: buffer) else {
                    end(nil)
                    isOver = true
                    break
                }
                var problem: (any Error)?
                let hasWoken = thread.receive {
                    do { try take(UnsafeRawBufferPointer(rebasing: buffer[..<count])) } catch { problem = error }
                }
                if let problem {
                    end(problem)
                    isOver = true
                }
                if hasWoken, !thread.runWoken() { return }
            }
        }
        thread.retire()
    }

    private func take(_ bytes: UnsafeRawBufferPointer) throws {
        var frames: [DirectFrame] = []
        try input.withLock { input in
            input.append(bytes)
            while let frame = try input.next() { frames.append(frame) }
        }
        if !frames.isEmpty { try receiver(self, frames) }
    }

    private func end(_ error: (any Error)?) {
        close()
        let isFirst = output.withLock { output in
            defer { output.hasEnded = true }
            return !output.hasEnded
        }
        if isFirst { onEnd(self, error) }
    }

    // MARK: Out

    func send(_ frame: DirectFrame) { send([frame]) }

    /// Sends frames together. What the other side does not take is kept up to a bound, beyond which the connection ends.
    func send(_ frames: some Collection<DirectFrame>) {
        var bytes: [UInt8] = []
        for frame in frames { frame.write(to: &bytes) }
        let (isOver, needsWriter) = output.withLock { output -> (Bool, Bool) in
            guard !output.isClosed else { return (false, false) }
            guard output.waiting.isEmpty else {
                output.waiting += bytes
                return (output.waiting.count > Self.waitingSizeBytesMax, false)
            }
            guard let count = socket.send(bytes[...]) else { return (true, false) }
            if count < bytes.count { output.waiting = Array(bytes[count...]) }
            return (false, count < bytes.count)
        }
        if isOver { close() }
        if needsWriter { startThread(name: name) { self.writeWaiting() } }
    }

    private func writeWaiting() {
        var isDone = false
        while !isDone {
            socket.waitUntilWritable()
            let isOver = output.withLock { output in
                isDone = output.isClosed
                guard !isDone else { return false }
                guard let count = socket.send(output.waiting[...]) else { return true }
                output.waiting.removeFirst(count)
                isDone = output.waiting.isEmpty
                return false
            }
            if isOver { close() }
        }
    }

    /// Ends the connection; the reading thread notices, and says so.
    func close() {
        output.withLock { output in
            output.isClosed = true
            output.waiting = []
        }
        socket.shutDown()
    }
}
