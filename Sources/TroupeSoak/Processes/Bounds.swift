import Dispatch
import Foundation
import Synchronization
import TroupeTesting

/// What did not end in its time.
struct NotInTime: Error, CustomStringConvertible {
    let what: String
    let limit: Duration
    var description: String { "\(what) did not end within \(limit)" }
}

/// Runs the body, and waits for it only that long: also one that does not heed its cancellation is left behind then.
func within<Value: Sendable>(
    _ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let waiting = Mutex<CheckedContinuation<Value, any Error>?>(nil)
    let resume: @Sendable (Result<Value, any Error>) -> Void = { result in
        let continuation = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        continuation?.resume(with: result)
    }
    return try await withCheckedThrowingContinuation { continuation in
        waiting.withLock { $0 = continuation }
        // Unstructured: one of the two outlasts this call, and ends by itself soon after.
        let work = Task {
            do { resume(.success(try await body())) } catch { resume(.failure(error)) }
        }
        Task {
            try? await Task.sleep(for: limit)
            work.cancel()
            resume(.failure(NotInTime(what: what, limit: limit)))
        }
    }
}

/// Runs what blocks where no task waits for the thread.
func offPool<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(returning: body()) }
    }
}

/// Runs the body on a thread of its own.
func detach(_ body: @escaping @Sendable () -> Void) { Thread(block: body).start() }
