#if canImport(Glibc)
    import Glibc
#endif

/// Starts a thread of its own, for work that blocks or never ends. The thread frees itself when `body` returns.
package func startThread(name: String, _ body: @escaping @Sendable () -> Void) {
    let start = ThreadStart(name: name, body: body)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(start).toOpaque()
    let result = pthread_create(
        &thread, nil,
        { context in
            guard let context else { return nil }
            let start = Unmanaged<ThreadStart>.fromOpaque(context).takeRetainedValue()
            nameThisThread(start.name)
            start.body()
            return nil
        }, context)
    precondition(result == 0, "the system refused to start a thread: error \(result)")
    pthread_detach(thread)
}

/// For debuggers and `top -H`; up to 15 characters.
private func nameThisThread(_ name: String) {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    write(file, name, name.utf8.count)
    close(file)
}

private final class ThreadStart: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}
