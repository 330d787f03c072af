internal import Glibc
internal import Synchronization

/// Hosts with a private network of their own, on this machine: one network namespace each, joined by a bridge in another.
/// Links between them can be cut and black-holed. Nothing leaves the machine. Needs root.
public final class NetworkLab: Sendable {
    public struct Host: Sendable, Hashable {
        public let name: String
        /// Its IPv4 address in the lab.
        public let address: String
        package let namespace: String

        /// The command, run on this host.
        public func command(_ words: [String]) -> [String] { ["ip", "netns", "exec", namespace] + words }
    }

    private let prefix: String
    private let hub: String
    private let hosts: [String: Host]
    private static let count = Mutex(0)

    /// Whether this process may make one; if not, why.
    public static var obstacle: String? {
        guard geteuid() == 0 else { return "network namespaces need root" }
        return run(["ip", "-V"]) ? nil : "the command ip is not installed (package iproute2)"
    }

    /// Makes the network with hosts of these names, at most 200.
    public init(_ names: [String]) throws {
        precondition(names.count <= 200 && Set(names).count == names.count, "host names are few and differ")
        let number = Self.count.withLock { count in
            count += 1
            return count
        }
        prefix = "troupe-\(getpid())-\(number)"
        hub = "\(prefix)-hub"
        let third = (Int(getpid()) + number) % 256
        var hosts: [String: Host] = [:]
        for (index, name) in names.enumerated() {
            hosts[name] = Host(name: name, address: "10.77.\(third).\(index + 2)", namespace: "\(prefix)-\(name)")
        }
        self.hosts = hosts
        try Self.need(["ip", "netns", "add", hub])
        try Self.need(["ip", "-n", hub, "link", "add", "bridge", "type", "bridge"])
        try Self.need(["ip", "-n", hub, "link", "set", "bridge", "up"])
        for host in hosts.values { try join(host) }
    }

    deinit {
        for host in hosts.values { _ = Self.run(["ip", "netns", "del", host.namespace]) }
        _ = Self.run(["ip", "netns", "del", hub])
    }

    public subscript(_ name: String) -> Host {
        guard let host = hosts[name] else { preconditionFailure("the lab has no host \(name)") }
        return host
    }

    private func join(_ host: Host) throws {
        let port = Self.port(host)
        try Self.need(["ip", "netns", "add", host.namespace])
        try Self.need([
            "ip", "link", "add", "eth0", "netns", host.namespace, "type", "veth", "peer", "name", port, "netns", hub,
        ])
        try Self.need(["ip", "-n", hub, "link", "set", port, "master", "bridge", "up"])
        try Self.need(["ip", "-n", host.namespace, "addr", "add", "\(host.address)/24", "dev", "eth0"])
        try Self.need(["ip", "-n", host.namespace, "link", "set", "lo", "up"])
        try Self.need(["ip", "-n", host.namespace, "link", "set", "eth0", "up"])
    }

    private static func port(_ host: Host) -> String { "port-\(host.name.prefix(9))" }

    // MARK: Faults

    /// Pulls a host's cable: both its ends see that the link is down.
    public func cut(_ name: String) throws { try setPort(of: self[name], "down") }

    /// Plugs it in again.
    public func mend(_ name: String) throws { try setPort(of: self[name], "up") }

    private func setPort(of host: Host, _ state: String) throws {
        try Self.need(["ip", "-n", hub, "link", "set", Self.port(host), state])
    }

    /// Lets what two hosts send each other vanish without a word; other links stay.
    public func blackHole(_ one: String, _ other: String) throws {
        try mislead(self[one], about: self[other])
        try mislead(self[other], about: self[one])
    }

    /// Sends its packets to a hardware address that nobody has.
    private func mislead(_ host: Host, about other: Host) throws {
        try Self.need([
            "ip", "-n", host.namespace, "neigh", "replace", other.address, "lladdr", "02:00:00:00:00:01", "nud",
            "permanent", "dev", "eth0",
        ])
    }

    /// Ends a black hole.
    public func heal(_ one: String, _ other: String) throws {
        for (host, other) in [(self[one], self[other]), (self[other], self[one])] {
            try Self.need(["ip", "-n", host.namespace, "neigh", "del", other.address, "dev", "eth0"])
        }
    }

    // MARK: Commands

    private static func need(_ command: [String]) throws {
        guard run(command) else {
            throw ChildProcess.Failure(description: "'\(command.joined(separator: " "))' failed; are you root?")
        }
    }

    private static func run(_ command: [String]) -> Bool {
        let child = ChildProcess(command)
        guard (try? child.start()) != nil else { return false }
        return child.wait() == .exited(0)
    }
}
