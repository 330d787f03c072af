internal import Glibc

/// File systems of a test's own: a command runs where mounts are its own and end with it. Needs root.
public enum MountSpace {
    /// Whether this process may have one; if not, why.
    public static let obstacle: String? = {
        guard geteuid() == 0 else { return "mounting needs root" }
        let child = ChildProcess(["unshare", "-m", "sh", "-c", "mount --make-rprivate / && mount -t tmpfs none /mnt"])
        guard (try? child.start()) != nil, child.wait() == .exited(0) else {
            return "this system does not let root mount in a namespace of its own (unshare -m, mount -t tmpfs)"
        }
        return nil
    }()

    /// A shell script with mounts of its own; what follows are its arguments, `$1` and on.
    public static func command(_ script: String) -> [String] {
        ["unshare", "-m", "sh", "-c", "mount --make-rprivate / && \(script)", "sh"]
    }
}
