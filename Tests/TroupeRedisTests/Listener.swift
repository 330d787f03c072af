import Glibc
import TroupeTesting

/// A server that is not Redis: accepts connections on a loopback port and says the same to each, whatever it hears.
final class Listener: Sendable {
    let port: Int
    private let number: Int32

    init(answer: String) throws {
        let port = try RedisServer.freePort()
        let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard bound == 0, listen(number, 16) == 0 else {
            close(number)
            throw RedisServer.Failure(description: "port \(port) was taken: error \(errno)")
        }
        self.port = port
        self.number = number
        var thread = pthread_t()
        let job = Job(number: number, answer: answer)
        pthread_create(
            &thread, nil,
            { context in
                let job = Unmanaged<Job>.fromOpaque(context!).takeRetainedValue()
                while case let client = accept(job.number, nil, nil), client >= 0 {
                    _ = job.answer.withCString { send(client, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
                }
                close(job.number)
                return nil
            }, Unmanaged.passRetained(job).toOpaque())
        pthread_detach(thread)
    }

    /// Makes the thread's `accept` return; the thread closes the socket.
    deinit { shutdown(number, Int32(SHUT_RDWR)) }

    private final class Job: Sendable {
        let number: Int32
        let answer: String

        init(number: Int32, answer: String) {
            self.number = number
            self.answer = answer
        }
    }
}
