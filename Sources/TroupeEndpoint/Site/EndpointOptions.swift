/// What can be chosen of an endpoint's behaviour.
package struct EndpointOptions: Sendable {
    /// The pause before a site that was not reached is tried again: doubles from the one to the other.
    package var retryPauseMin = Duration.milliseconds(100)
    package var retryPauseMax = Duration.seconds(5)
    /// How long a link stays on which nothing is open.
    package var idleTimeMax = Duration.seconds(60)
    /// How often a peer that is reached through a relay is looked for on a better path.
    package var improvePause = Duration.seconds(60)

    /// For how long objects are kept for a site that refers to them, unless it asks again. It asks when a third of that time
    /// is over, so this is what a broken link may last.
    package var objectLease = Duration.seconds(3600)
    /// How often is looked what this site refers to of other sites' objects.
    package var objectLookPause = Duration.seconds(10)

    package init() {}
}
