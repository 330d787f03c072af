import TroupeTesting

/// Where the processes of a site run: on this machine as they are, or behind a command that puts them somewhere else.
struct SoakHost: Sendable {
    var prefix: [String] = []
    var environment: [String: String] = [:]

    func process(_ command: [String], standardError: String = "/dev/null") -> ChildProcess {
        ChildProcess(prefix + command, environment: environment, standardError: standardError)
    }
}
