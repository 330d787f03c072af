import CBOR
import TroupeBroker
import TroupeCore

/// A process's way to its site's endpoint: found in the exchange, and again whenever it is lost.
actor EndpointLink {
    private let exchange: Exchange
    private var client: LocalClient?

    /// How long an address is given to answer.
    private static let tryTime = Duration.seconds(2)
    private static let addressesMax = 16

    init(_ exchange: Exchange) { self.exchange = exchange }

    deinit { client?.close() }

    /// - Throws: if no endpoint answers; what it could not do is an answer, too.
    nonisolated func ask(_ request: LocalRequest, timeout: Duration) async throws(EndpointError) -> LocalAnswer {
        let client = try await current()
        do throws(EndpointError) {
            return try await client.send(request, timeout: timeout)
        } catch {
            await drop(client)
            throw error
        }
    }

    private func current() async throws(EndpointError) -> LocalClient {
        if let client {
            if client.isConnected { return client }
            // A request would wait for it in vain, where another one may serve by now at another address.
            drop(client)
        }
        let found = try await find()
        // Another one may have found it meanwhile.
        if let client {
            found.close()
            return client
        }
        client = found
        return found
    }

    private func drop(_ lost: LocalClient) {
        guard client === lost else { return }
        client = nil
        lost.close()
    }

    private func find() async throws(EndpointError) -> LocalClient {
        var failure: EndpointError?
        let (site, addresses) = try await published()
        for text in addresses.prefix(Self.addressesMax) {
            do throws(EndpointError) {
                let address: BrokerAddress
                do throws(BrokerError) {
                    address = try BrokerAddress(text)
                } catch {
                    throw EndpointError(.invalidArgument, error.message)
                }
                let client = try LocalClient(address)
                do throws(EndpointError) {
                    _ = try await client.ask(.status, timeout: Self.tryTime)
                    return client
                } catch {
                    client.close()
                    throw error
                }
            } catch {
                failure = error
            }
        }
        throw EndpointError(
            .unreachable,
            "the endpoint of this site, \(site), does not run or is not reached from this host: 'troupe endpoint start' starts "
                + "it, and an address for other hosts is given to 'troupe endpoint init'"
                + (failure.map { " (\($0.message))" } ?? ""))
    }

    /// Where the endpoint says it can be found.
    private func published() async throws(EndpointError) -> (site: String, addresses: [String]) {
        do {
            guard let site = try await LocalSiteName.read(from: exchange) else {
                throw EndpointError(
                    .refused,
                    "\(exchange.address) has no endpoint, so nothing of other sites is reached from it: make one with "
                        + "'troupe endpoint init'")
            }
            let id = try ActorID(mailboxOfSite: site)
            let answer = try await exchange.shard(of: id).perform(.state(id))
            guard case .state(let state) = answer else { throw answer.unexpected("state") }
            return (site, (try? CBORDecoder().decode([String].self, from: state)) ?? [])
        } catch let error as EndpointError {
            throw error
        } catch {
            throw EndpointError(.unreachable, "the endpoint's address cannot be read from the exchange: \(error)")
        }
    }
}
