import Foundation
import TroupeTesting

/// A further worker process; it says on its standard error when it hosts actors.
struct FurtherWorker {
    private let process: ChildProcess

    init(pool: String, url: String) throws {
        process = ChildProcess([
            try ChildProcess.product("bench"), "worker", "--exchange", url, "--pool", pool,
        ])
        try process.start()
    }

    func end() { process.terminate() }
}
