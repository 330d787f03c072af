import CBOR
package import TroupeBroker

/// A process's way to its site's endpoint.
package final class LocalClient: Sendable {
    private let channel: BrokerChannel

    /// - Parameter address: as the endpoint prints it: `ipc:///…`, `tcp://…?token-file=…`.
    package init(_ address: BrokerAddress) throws(EndpointError) {
        do throws(BrokerError) {
            channel = try BrokerChannel(address.dialled(), token: address.token())
        } catch {
            throw EndpointError(.invalidArgument, error.message)
        }
    }

    /// - Throws: also what the endpoint says it could not do.
    package func ask(_ request: LocalRequest, timeout: Duration) async throws(EndpointError) -> LocalAnswer {
        let answer = try await send(request, timeout: timeout)
        if case .failed(let code, let message) = answer { throw EndpointError(code, message) }
        return answer
    }

    /// - Throws: if the endpoint does not answer; what it could not do is an answer, too.
    func send(_ request: LocalRequest, timeout: Duration) async throws(EndpointError) -> LocalAnswer {
        do {
            let reply = try await channel.request(try CBOREncoder().encode(request), timeout: timeout)
            return try CBORDecoder().decode(LocalAnswer.self, from: reply)
        } catch let error as BrokerError {
            let code: EndpointError.Code = error.code == .timedOut ? .timedOut : .unreachable
            throw EndpointError(code, "the endpoint at \(channel.address) did not answer: \(error.message)")
        } catch {
            throw EndpointError(.protocolViolation, "the endpoint at \(channel.address) cannot be understood: \(error)")
        }
    }

    /// Whether there is a connection at the moment.
    var isConnected: Bool { channel.isConnected }

    package func close() { channel.close() }
}
