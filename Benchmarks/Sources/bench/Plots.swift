import TroupeTesting

/// The pictures, which `Benchmarks/plot.py` draws with matplotlib.
enum Plots {
    /// `scripts/bench` runs in the folder of the repository, and has installed this.
    private static let python = "Benchmarks/.build/python/bin/python"

    /// Draws the rows of a JSON file.
    static func draw(_ path: String, in directory: String) throws {
        let process = ChildProcess([python, "Benchmarks/plot.py", path, directory], standardError: "/dev/stderr")
        try process.start()
        while let line = process.line() { note("bench: \(line)") }
        guard process.wait() == .exited(0) else {
            throw Trouble("Benchmarks/plot.py could not draw \(path); run scripts/bench, which installs what it needs")
        }
    }
}
