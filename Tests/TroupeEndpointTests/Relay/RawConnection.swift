import CBOR
import Glibc
import Testing

@testable import TroupeEndpoint

/// A socket that says exactly what a test wants said: HTTP and WebSocket by hand, right or wrong.
final class RawConnection: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = LoopbackAddress(port: port)
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result = address.with { connect(descriptor, $0, $1) }
        guard result == 0 else { throw Failure(description: "port \(port) cannot be reached: error \(errno)") }
    }

    deinit { close(descriptor) }

    /// How much the system takes for us before we read.
    func setReceiveBuffer(sizeBytes: Int32) {
        var size = sizeBytes
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sends as much as the other side takes; it may have hung up.
    func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// Nothing more will be sent.
    func stopSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// The next bytes; none once the other side has hung up.
    func read(_ countMax: Int = 1 << 16) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: countMax)
        let count = recv(descriptor, &bytes, countMax, 0)
        if count < 0, errno == EAGAIN || errno == EWOULDBLOCK { throw Failure(description: "nothing came") }
        return Array(bytes.prefix(max(0, count)))
    }

    private func read(exactly count: Int) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let part = try read(count - bytes.count)
            if part.isEmpty { return nil }
            bytes += part
        }
        return bytes
    }

    /// All until the other side hangs up.
    func readToEnd() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            let part = try read()
            if part.isEmpty { return bytes }
            bytes += part
        }
    }

    static func get(_ path: String, port: Int) throws -> String {
        let connection = try RawConnection(port: port)
        connection.send("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
        return String(decoding: try connection.readToEnd(), as: UTF8.self)
    }

    // MARK: WebSocket

    /// Asks for a WebSocket; returns the answer's head.
    @discardableResult
    func upgrade(_ path: String, headers: String = "") throws -> String {
        send(
            "GET \(path) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\(headers)\r\n")
        var head: [UInt8] = []
        while head.suffix(4) != [13, 10, 13, 10] {
            guard let byte = try read(exactly: 1) else { break }
            head += byte
        }
        return String(decoding: head, as: UTF8.self)
    }

    func sendFrame(_ payload: [UInt8], opcode: UInt8 = 2, isFinal: Bool = true, isMasked: Bool = true) {
        let mask: [UInt8] = [1, 2, 3, 4]
        var bytes: [UInt8] = [(isFinal ? 0x80 : 0) | opcode]
        let flag: UInt8 = isMasked ? 0x80 : 0
        switch payload.count {
        case ..<126: bytes.append(flag | UInt8(payload.count))
        case ..<65536: bytes += [flag | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        case _: bytes += [flag | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        if isMasked {
            bytes += mask
            bytes += payload.enumerated().map { $1 ^ mask[$0 & 3] }
        } else {
            bytes += payload
        }
        send(bytes)
    }

    func send(_ request: RelayRequest) { sendFrame(RelayCoding.encode(request)) }

    /// The next frame; nil once the other side has hung up.
    func frame() throws -> (opcode: UInt8, payload: [UInt8])? {
        guard let head = try read(exactly: 2) else { return nil }
        var count = Int(head[1] & 0x7F)
        if count >= 126 {
            guard let length = try read(exactly: count == 126 ? 2 : 8) else { return nil }
            count = length.reduce(0) { $0 << 8 | Int($1) }
        }
        guard count > 0 else { return (head[0] & 15, []) }
        return try read(exactly: count).map { (head[0] & 15, $0) }
    }

    /// The next message; nil when the relay says goodbye or hangs up.
    func event() throws -> RelayEvent? {
        while let frame = try frame() {
            switch frame.opcode {
            case 2: return try RelayCoding.decode(from: frame.payload, sizeBytesMax: 1 << 20)
            case 8: return nil
            case _: continue
            }
        }
        return nil
    }

    /// Why the relay ends the connection.
    func refusal() throws -> String? {
        while let event = try event() {
            if case .refused(nil, let reason, _) = event { return reason }
        }
        return nil
    }

    /// The relay's first message.
    func challenge() throws -> [UInt8] {
        guard case .challenge(let bytes, _)? = try event() else { throw Failure(description: "no challenge") }
        return bytes
    }

    /// Logs in as an endpoint should.
    static func loggedIn(
        _ key: EndpointKey, port: Int, tenant: String = "default", token: String? = nil,
        route: RelayRoute = .presence
    ) throws -> RawConnection {
        let connection = try RawConnection(port: port)
        try connection.upgrade(route.path)
        connection.send(
            .login(
                try RelayLogin(
                    key: key, site: "raw", tenant: tenant, token: token, challenge: try connection.challenge(),
                    relay: "127.0.0.1", route: route)))
        if route == .presence {
            guard case .welcome? = try connection.event() else { throw Failure(description: "no welcome") }
        }
        return connection
    }
}
