import SystemPackage
import Testing
import TroupeTesting

@testable import TroupeEndpoint

enum RelayCertificates {
    /// An authority, and a certificate of it for 127.0.0.1.
    static func make(in directory: TemporaryDirectory) throws {
        let script = """
            cd \(directory.path) && exec >/dev/null 2>&1
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 \
                -subj /CN=ca -addext basicConstraints=critical,CA:TRUE &&
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' > ext &&
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out csr -subj /CN=relay &&
            openssl x509 -req -in csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out chain.pem
            """
        let shell = ChildProcess(["sh", "-c", script])
        try shell.start()
        try #require(shell.wait() == .exited(0))
    }
}
