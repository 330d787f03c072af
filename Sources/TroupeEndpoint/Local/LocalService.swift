import CBOR
import Logging
import Synchronization
import TroupeBroker
import TroupeCore

/// Answers the processes of the site, over nng.
final class LocalService: Sendable {
    /// Where it listens, as it turned out.
    let addresses: [String]
    private let replier: NNGReplier

    /// Requests that are answered at once; more wait for their turn.
    private static let requestsMax = 256

    init(
        _ addresses: [BrokerAddress], replyTimeout: Duration = NNGReplier.Options().replyTimeout, logger: Logger,
        answer: @escaping @Sendable (LocalRequest) async throws(EndpointError) -> LocalAnswer
    ) throws(EndpointError) {
        do {
            let targets = try addresses.map { address throws(BrokerError) in try address.listened() }
            var options = NNGReplier.Options()
            options.requestsMax = Self.requestsMax
            options.messageBytesMax = LocalRequest.pieceSizeBytesMax + (64 << 10)
            options.replyTimeout = replyTimeout
            let hangUp = HangUp()
            let refusals = RefusalLog(logger)
            let refused = { @Sendable (reason: String) in refusals.report("no connection", reason, ["path": "local"]) }
            let doorkeeper = Doorkeeper(tokens: targets.map(\.token), onRefusal: refused)
            let replier = try NNGReplier(
                options: options, onPeer: { doorkeeper.note($0) }, onRefusal: refused,
                handler: { request in
                    guard doorkeeper.admits(request, closing: { hangUp.disconnect($0) }) else { return }
                    // Unstructured: bounded by the replier's count of requests, and ends with its answer.
                    Task { await Self.reply(to: request, refused, answer) }
                })
            hangUp.set(replier)
            self.replier = replier
            var bound: [String] = []
            for (address, _) in targets { bound.append(try replier.listen(address).address.shown) }
            self.addresses = bound
        } catch {
            throw EndpointError(.unreachable, "the endpoint cannot listen for its site's processes: \(error)")
        }
    }

    func close() { replier.close() }

    private static func reply(
        to request: NNGRequest, _ refused: @Sendable (String) -> Void,
        _ answer: @Sendable (LocalRequest) async throws(EndpointError) -> LocalAnswer
    ) async {
        let result: LocalAnswer
        do {
            let limits = CBORLimits(depthMax: 16, sizeBytesMax: 64 << 10, itemCountMax: 1000)
            let asked = try CBORDecoder(limits: limits).decode(LocalRequest.self, from: request.frame.body)
            result = try await answer(asked)
        } catch let error as EndpointError {
            result = .failed(code: error.code, message: error.message)
        } catch {
            refused("its request cannot be read: \(error)")
            result = .failed(code: .protocolViolation, message: "the request cannot be read: \(error)")
        }
        do {
            request.reply(Frame(.answer, try CBOREncoder().encode(result)))
        } catch {
            request.reply(.refusal(.unavailable, "the answer cannot be encoded"))
        }
    }
}

/// The replier, once there is one, for its own handlers.
private final class HangUp: Sendable {
    private let replier = Mutex<NNGReplier?>(nil)
    func set(_ replier: NNGReplier) { self.replier.withLock { $0 = replier } }
    func disconnect(_ peer: NNGPeer) { replier.withLock { $0 }?.disconnect(peer) }
}
