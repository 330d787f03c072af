/// Typed reading of answers: what an operation cannot answer is a defect of the host, and named as one.
extension Answer {
    package func deliveries(of worker: WorkerID) throws(ExchangeError) -> Deliveries {
        switch self {
        case .deliveries(let deliveries): return deliveries
        case .noSuchWorker:
            throw ExchangeError(
                .noSuchWorker, "the exchange does not know worker \(worker) any more; it must register again")
        default: throw unexpected("deliveries")
        }
    }

    package var receipts: Receipts {
        get throws(ExchangeError) {
            guard case .receipts(let receipts) = self else { throw unexpected("receive") }
            return receipts
        }
    }

    package func unexpected(_ operation: String) -> ExchangeError {
        let text = String(describing: self).prefix(120)
        return ExchangeError(
            .internalError, "the exchange answered '\(operation)' with \(text); the two sides differ in version")
    }
}
