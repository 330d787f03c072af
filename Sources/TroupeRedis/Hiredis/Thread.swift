internal import CHiredis
internal import Dispatch
internal import Glibc

/// Starts a thread of its own, for work that blocks or never ends. The thread frees itself when `body` returns.
func startThread(name: String, _ body: @escaping @Sendable () -> Void) {
    let start = ThreadStart(name: name, body: body)
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    defer { unsafe pthread_attr_destroy(&attributes) }
    var thread = pthread_t()
    let context = unsafe Unmanaged.passRetained(start).toOpaque()
    let result = unsafe pthread_create(
        &thread, &attributes,
        { context in
            guard let context = unsafe context else { return nil }
            let start = unsafe Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue()
            unsafe troupe_name_thread(start.name)
            start.body()
            return nil
        }, context)
    precondition(result == 0, "the system refused to start a thread: error \(result)")
}

private final class ThreadStart: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

/// A number that tells the calling thread from every other living one.
func currentThreadNumber() -> UInt { UInt(pthread_self()) }

/// Nanoseconds since some fixed moment, never going back.
func monotonicNanoseconds() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

/// Writing to a connection whose server has died must be an error of that write and not the end of the process.
func ignoreBrokenPipeSignal() {
    _ = signal(SIGPIPE, SIG_IGN)
}

/// A variable of the process's environment.
func environmentVariable(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
}

/// The first bytes of a small file.
func readSmallFile(path: String, sizeBytesMax: Int) -> Result<[UInt8], SystemFailure> {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return .failure(SystemFailure(errno: errno)) }
    let file = Descriptor(owning: number)
    var bytes = [UInt8](repeating: 0, count: sizeBytesMax)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file.number, $0.baseAddress, $0.count) }
    guard count >= 0 else { return .failure(SystemFailure(errno: errno)) }
    return .success(Array(bytes.prefix(count)))
}
