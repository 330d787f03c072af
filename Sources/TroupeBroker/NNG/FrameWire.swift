/// One end of a connection that carries numbered frames.
protocol FrameWire: AnyObject, Sendable {
    /// Sends a frame; one that a lost connection cannot take any more is dropped.
    func send(_ frame: Frame, number: UInt32)
    /// Goes on reading after a handler has asked to pause.
    func resume()
    /// Ends the connection; its handler hears of it once.
    func close()
}

/// Who is told what comes over a connection.
struct FrameHandler: Sendable {
    /// A frame has come. The call comes on an nng thread and must not block. Returns whether more may come now; if not,
    /// nothing is read until the wire's `resume`.
    var received: @Sendable (Frame, UInt32) -> Bool
    /// The connection is ready: the other side has greeted.
    var greeted: @Sendable () -> Void
    /// The connection has ended; nothing else comes.
    var ended: @Sendable (StreamEnd) -> Void
}

/// Why a connection ended.
enum StreamEnd: Sendable {
    /// This side closed it.
    case closedHere
    case lost(NNGFailure)
    case violation(String)
}
