import Foundation
import Testing
import TroupeTesting

@Suite struct LinkedLibrariesTests {
    @Test("a program with workers and callers needs none of the libraries that endpoints are made of")
    func worker() throws {
        let path = try ChildProcess.product("FaultNode")
        let program = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        func needs(_ library: String) -> Bool { program.range(of: Data(library.utf8)) != nil }
        #expect(needs("libnng.so"))
        for library in ["libnice.so", "libngtcp2.so", "libngtcp2_crypto_gnutls.so", "libgnutls.so", "libgio-2.0.so"] {
            #expect(!needs(library), "\(library)")
        }
    }
}
