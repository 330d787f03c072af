/// Notices leases that a worker was given and never learnt of, because the answer to its claim was lost and the claim was made
/// again: the exchange counts more activations than the worker has, and goes on doing so.
struct LeaseAudit {
    /// Between grant and arrival a surplus is no news; it is one if it is there at each of so many looks.
    static let looks = 5

    private var taken = 0
    private var surplusMin = Int.max

    /// Takes a look.
    ///
    /// - Returns: whether there are leases that nobody will ever use.
    mutating func findsOrphans(granted: Int, hosted: Int) -> Bool {
        taken += 1
        surplusMin = min(surplusMin, granted - hosted)
        guard taken == Self.looks else { return false }
        defer { self = LeaseAudit() }
        return surplusMin > 0
    }
}
