import Testing
import TroupeTesting

/// The library that watches a process's files and shows it another clock (`Tests/CrashShim/shim.c`), built once.
enum CrashShim {
    static let library: Result<String, ChildProcess.Failure> = {
        let source =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
            + "/CrashShim/shim.c"
        let library = keep.file("shim.so")
        for compiler in ["clang", "cc"] {
            let child = ChildProcess([compiler, "-shared", "-fPIC", "-O1", "-o", library, source])
            if (try? child.start()) != nil, child.wait() == .exited(0) { return .success(library) }
        }
        return .failure(ChildProcess.Failure(description: "neither clang nor cc could build \(source)"))
    }()

    private static let keep = Scratch()
}
