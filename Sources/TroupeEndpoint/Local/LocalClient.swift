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

    package func ask(_ request: LocalRequest, timeout: Duration) async throws(EndpointError) -> LocalAnswer {
        let answer: LocalAnswer
        do {
            let reply = try await channel.request(try CBOREncoder().encode(request), timeout: timeout)
            answer = try CBORDecoder().decode(LocalAnswer.self, from: reply)
        } catch let error as BrokerError {
            let code: EndpointError.Code = error.code == .timedOut ? .timedOut : .unreachable
            throw EndpointError(code, "the endpoint at \(channel.address) did not answer: \(error.message)")
        } catch {
            throw EndpointError(.protocolViolation, "the endpoint at \(channel.address) cannot be understood: \(error)")
        }
        if case .failed(let code, let message) = answer { throw EndpointError(code, message) }
        return answer
    }

    package func close() { channel.close() }
}
