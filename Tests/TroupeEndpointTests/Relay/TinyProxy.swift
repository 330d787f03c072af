import Glibc
import Synchronization

/// An HTTP proxy that knows nothing but CONNECT, with a thread for each direction of each connection.
final class TinyProxy: Sendable {
    private let listener: Int32
    private let answer: String
    private let tunnels = Mutex(0)
    let port: Int

    var tunnelCount: Int { tunnels.withLock { $0 } }

    /// - Parameter credentials: `user:password` that clients must have.
    init(credentials: String) throws {
        // The Base64 of the only credentials that tests use.
        precondition(credentials == "user:word")
        answer = "Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n"
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        listener = descriptor
        var address = LoopbackAddress(port: 0)
        let bound = address.with {
            bind(descriptor, $0, $1) == 0 && listen(descriptor, 16) == 0 && getsockname(descriptor, $0, &$1) == 0
        }
        guard bound else { throw RawConnection.Failure(description: "no port for a proxy: error \(errno)") }
        port = address.port
        Self.thread { [self] in accept() }
    }

    /// Ends the thread that accepts; the others end with their connections.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    deinit { close(listener) }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        var id = pthread_t()
        let box = Unmanaged.passRetained(Body(body))
        pthread_create(
            &id, nil,
            { argument in
                Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        pthread_detach(id)
    }

    private final class Body: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private func accept() {
        while case let client = Glibc.accept(listener, nil, nil), client >= 0 {
            Self.thread { [self] in serve(client) }
        }
    }

    private func serve(_ client: Int32) {
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while head.suffix(4) != [13, 10, 13, 10] {
            guard recv(client, &byte, 1, 0) == 1 else { return finish(client, nil) }
            head.append(byte)
        }
        let text = String(decoding: head, as: UTF8.self)
        guard text.contains(answer) else { return finish(client, "HTTP/1.1 407 Who are you\r\n\r\n<p>Who?</p>") }
        let words = text.prefix { $0 != "\r\n" }.split(separator: " ")
        guard words.count == 3, words[0] == "CONNECT", let target = words[1].split(separator: ":").last,
            let port = Int(target), let server = dial(port)
        else { return finish(client, "HTTP/1.1 502 Bad Gateway\r\n\r\n") }
        tunnels.withLock { $0 += 1 }
        say("HTTP/1.1 200 Connection established\r\nVia: 1.1 tiny\r\n\r\n", client)
        // Each direction ends both sockets when it ends; the second to end closes them.
        let left = Mutex(2)
        let ends = Ends(left)
        Self.thread { Self.pump(client, server, ends) }
        Self.pump(server, client, ends)
    }

    private final class Ends: Sendable {
        let left: Mutex<Int>

        init(_ left: consuming Mutex<Int>) { self.left = left }
    }

    private static func pump(_ source: Int32, _ target: Int32, _ ends: Ends) {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = recv(source, &bytes, bytes.count, 0), count > 0 {
            var sent = 0
            while sent < count {
                let part = bytes[sent..<count].withUnsafeBytes {
                    send(target, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                if part <= 0 { break }
                sent += part
            }
            if sent < count { break }
        }
        shutdown(source, Int32(SHUT_RDWR))
        shutdown(target, Int32(SHUT_RDWR))
        let isLast = ends.left.withLock { left in
            left -= 1
            return left == 0
        }
        if isLast {
            close(source)
            close(target)
        }
    }

    private func dial(_ port: Int) -> Int32? {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = LoopbackAddress(port: port)
        let result = address.with { connect(server, $0, $1) }
        if result == 0 { return server }
        close(server)
        return nil
    }

    private func say(_ text: String, _ client: Int32) {
        _ = text.withCString { send(client, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
    }

    private func finish(_ client: Int32, _ text: String?) {
        if let text { say(text, client) }
        close(client)
    }
}
