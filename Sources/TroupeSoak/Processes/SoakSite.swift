import Foundation
import Troupe
import TroupeCore
import TroupeTesting

/// A site of a soak: an exchange with its workers, callers and actors. Most soaks have one.
struct SoakSite: Sendable {
    /// Nil if there is one only.
    let name: String?
    let exchange: SoakExchange
    let processes: SoakProcesses
    let troupe: Troupe
    let actors: [SoakActor]

    /// What still waits on the way to other sites, in words.
    func waiting() async throws -> [String] {
        var waiting: [String] = []
        for other in Cast.sites where name != nil && other != name {
            let mailbox = try ActorID(mailboxOfSite: other)
            let answer = try await troupe.courier.exchange.shard(of: mailbox).perform(.stat(mailbox))
            guard case .stat(let stat) = answer else { throw answer.unexpected("stat") }
            guard stat.queuedCount > 0 || stat.deadLetterCount > 0 else { continue }
            waiting.append("\(mailbox): \(stat.queuedCount) queued, \(stat.deadLetterCount) dead")
        }
        return waiting
    }
}

/// The directory in which a site has its files.
struct SoakDirectory: Sendable {
    let path: String

    init(_ path: String, of site: String?) throws {
        self.path = site.map { "\(path)/\($0)" } ?? path
        try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
    }
}
