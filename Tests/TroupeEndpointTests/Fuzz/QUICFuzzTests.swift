import Foundation
import SystemPackage
import Testing
import TroupeTesting

@testable import TroupeEndpoint

/// Runs the C layer, built with sanitizers, against packets that were changed on the way and against a peer that seals
/// what it likes; `Tests/QUICFuzz` says how. A seed that fails is printed with what the sanitizers found.
@Suite(
    "Changed packets and frames of QUIC", .serialized,
    .enabled(if: QUICFuzz.isCompilerThere, "needs clang, which comes with Swift, and pkg-config"))
struct QUICFuzzTests {
    @Test("no memory is misused, no bound is passed, and a bystander is not disturbed", .timeLimit(.minutes(10)))
    func fuzz() throws {
        let fuzz = try QUICFuzz()
        for seed in stride(from: 1, to: 121, by: 30) {
            let line = try fuzz.run(firstSeed: seed, count: 30)
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            try #require(numbers.count == 5, "\(line)")
            // A harness that establishes, ends, opens, reads or betrays nothing tests nothing.
            #expect(numbers.allSatisfy { $0 > 0 }, "\(line)")
        }
    }
}

/// The program, compiled for this run.
final class QUICFuzz {
    private let directory: TemporaryDirectory
    private var program: String { directory.path.appending("quic-fuzz").string }
    private var errors: String { directory.path.appending("errors").string }

    static var isCompilerThere: Bool {
        ["clang", "pkg-config"].allSatisfy { isInstalled($0) }
    }

    private static func isInstalled(_ program: String) -> Bool {
        let shell = ChildProcess(["sh", "-c", "command -v \(program)"])
        guard (try? shell.start()) != nil else { return false }
        return shell.wait() == .exited(0)
    }

    init() throws {
        directory = try TemporaryDirectory()
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized
            .path(percentEncoded: false)
        let script = """
            cd \(root) && exec clang -std=gnu11 -g -O1 -Wall -Wextra -Werror -fsanitize=address,undefined \
                -fno-sanitize-recover=all -fno-omit-frame-pointer -ISources/CTroupeQUIC -ISources/CTroupeQUIC/include \
                $(pkg-config --cflags gobject-2.0) -Wl,--wrap=ngtcp2_conn_writev_stream_versioned \
                -Wl,--wrap=ngtcp2_crypto_encrypt_cb Tests/QUICFuzz/*.c \
                $(ls Sources/CTroupeQUIC/*.c | grep -v /ice.c) \
                -lngtcp2_crypto_gnutls -lngtcp2 -lgnutls -lgio-2.0 -lgobject-2.0 -lglib-2.0 -o \(program)
            """
        let compiler = ChildProcess(["sh", "-c", script], standardError: errors)
        try compiler.start()
        guard compiler.wait() == .exited(0) else { throw LabFailure(description: "the fuzzer does not build: \(said)") }
    }

    private var said: String { (try? String(contentsOfFile: errors, encoding: .utf8)) ?? "" }

    func run(firstSeed: Int, count: Int) throws -> String {
        let process = ChildProcess([program, "\(firstSeed)", "\(count)"], standardError: errors)
        try process.start()
        let line = process.line() ?? ""
        let ending = process.wait()
        guard ending == .exited(0) else {
            throw LabFailure(description: "quic-fuzz \(firstSeed) \(count): \(String(describing: ending)) \(said)")
        }
        return line
    }
}
