internal import CHiredis
internal import Dispatch
internal import Glibc

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
