/// What can be chosen of an endpoint's behaviour.
package struct EndpointOptions: Sendable {
    /// The pause before a site that was not reached is tried again: doubles from the one to the other.
    package var retryPauseMin = Duration.milliseconds(100)
    package var retryPauseMax = Duration.seconds(5)
    /// How long a link stays on which nothing is open.
    package var idleTimeMax = Duration.seconds(60)
    /// How often a peer that is reached through a relay is looked for on a better path.
    package var improvePause = Duration.seconds(60)

    package init() {}
}
