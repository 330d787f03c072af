import Foundation
import TroupeTesting

/// A worker process for the actors of some pools.
struct FurtherWorker: Sendable {
    private let process: ChildProcess

    /// Without a time for it, no actor passivates during a row.
    init(
        pools: String..., url: String, passivateAfter: String = "600s", lease: String = "3s", isDirect: Bool = true
    ) throws {
        process = ChildProcess(
            [
                try ChildProcess.product("bench"), "worker", "--exchange", url, "--passivate-after", passivateAfter,
                "--lease", lease,
            ] + pools.flatMap { ["--pool", $0] } + (isDirect ? [] : ["--no-direct"]))
        try process.start()
    }

    /// Memory that is its own and in use, in KiB.
    func residentKiB() throws -> Int { try Memory.residentKiB(of: process) }

    func end() { process.terminate() }

    /// Ends it so that it cannot give its actors back.
    func kill() { process.kill() }
}
