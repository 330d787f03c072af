public import TroupeCore

/// How a broker's journal is kept.
public struct JournalOptions: Sendable, Hashable {
    /// What is promised for what has been acknowledged: nothing (`volatile`); that it survives the process, and a crash
    /// of the machine but for the last ``syncInterval`` (`journaled`); that it survives both (`durable`).
    public var durability: DurabilityClass
    /// For `journaled`: the longest time from an acknowledgement to its sync, so the loss window of a power cut.
    public var syncInterval = Duration.milliseconds(100)
    /// Bytes that the journal file may grow to; nil is as far as the disk goes. Past it the broker acknowledges nothing.
    public var sizeBytesMax: Int?
    /// Pages of 4096 bytes that the write-ahead log may hold before it is moved into the file.
    public var checkpointPages = 4000

    public init(durability: DurabilityClass) {
        self.durability = durability
    }
}
