/// What a test waited for did not come about.
package struct NeverSo: Error, CustomStringConvertible {
    package let description: String
}

/// Asks again until the answer is yes.
///
/// - Throws: ``NeverSo`` after a minute, and what `isSo` throws.
package func eventually(_ what: String, _ isSo: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while try await !isSo() {
        guard ContinuousClock.now < deadline else { throw NeverSo(description: "\(what): not so within a minute") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
