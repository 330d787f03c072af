package import Logging
package import TroupeCore

/// Exchanges that are brokers: one at an address, or the embedded one of a directory.
package enum BrokerExchange {
    /// Connects to the broker that the URL names. For `embedded:` this process becomes the broker if nobody is, and takes
    /// over when the one that is dies.
    ///
    /// - Throws: ``ExchangeError`` of code `invalidArgument` (the URL), `unreachable` (within
    ///   ``BrokerShard/Limits/connectTimeout``), `unauthorized` (the token), `unsupportedVersion` (another program or version),
    ///   `foreignData`, `corrupt` or `refused` (the journal of an embedded one), `durabilityNotOffered`.
    package static func connect(
        url: String, limits: BrokerShard.Limits = .init(), logger: Logger = Logger(label: "troupe.broker")
    ) async throws(ExchangeError) -> Exchange {
        let address: BrokerAddress
        let dialler: any BrokerDialler
        do throws(BrokerError) {
            address = try BrokerAddress(url)
            if case .embedded(let directory) = address.place {
                dialler = EmbeddedMember(EmbeddedPlace(directory), durability: address.durability, logger: logger)
            } else {
                dialler = FixedDialler(address: try address.dialled(), token: try address.token())
            }
        } catch {
            throw ExchangeError(error)
        }
        let shard = try await BrokerShard(dialler, limits: limits)
        if let asked = address.durability, shard.durability.level < asked {
            let offered = shard.durability
            await shard.close()
            throw ExchangeError(
                .durabilityNotOffered,
                "\(address.place) is served \(offered.level.rawValue) (\(offered.detail)), and \(asked.rawValue) was asked for: "
                    + "stop the process that serves it, or ask for less")
        }
        return Exchange(shards: [shard], address: address.description)
    }
}

extension BrokerAddress {
    /// A directory for the objects of a broker on this host; nil for one that may be elsewhere.
    package var objectDirectory: String? {
        switch place {
        case .embedded(let directory): EmbeddedPlace(directory).directory + "/objects"
        case .ipc(let path): path + ".objects"
        case .inproc, .tcp, .tls, .ws: nil
        }
    }
}
