internal import TroupeStore

extension RedisConnector {
    /// What a trip of several objects carries at most.
    private static let tripSizeBytesMax = 4 << 20
    private static let tripCountMax = 256

    /// Divides objects of these sizes into trips: several small ones, or one that may be large.
    static func trips(_ sizes: [Int]) -> [Range<Int>] {
        var trips: [Range<Int>] = []
        var (start, bytes) = (0, 0)
        for (index, size) in sizes.enumerated() {
            if index > start, bytes + size > tripSizeBytesMax || index - start == tripCountMax {
                trips.append(start..<index)
                (start, bytes) = (index, 0)
            }
            bytes += size
        }
        if start < sizes.count { trips.append(start..<sizes.count) }
        return trips
    }

    /// Rounded up, as an expiry of 0 would be refused.
    static func milliseconds(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        return Int(seconds) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }

    func task(_ verb: String, _ key: String) -> RedisObjectTask {
        RedisObjectTask(verb: verb, key: key, redisKey: parts.redisKey(key), server: server)
    }

    func ask(_ command: [RedisArgument], _ task: RedisObjectTask) async throws(StoreError) -> RedisReply {
        try await perform([command], bytes: 0, task)[0]
    }

    /// Sends commands on objects that lie together with the task's.
    func perform(
        _ commands: [[RedisArgument]], bytes: Int, isBulk: Bool = false, _ task: RedisObjectTask
    ) async throws(StoreError) -> [RedisReply] {
        do throws(RedisError) {
            return try await parts.lane(of: task.key, isBulk: isBulk).perform(commands, bytes: bytes)
        } catch { throw task.failure(error) }
    }

    // MARK: Putting

    /// Keys are mostly new, so they are set as such; the others are looked at first, since SET would replace the data
    /// of another program.
    func store(
        _ objects: ArraySlice<(key: String, bytes: [UInt8])>, expiresAfter: Duration?
    ) async throws(StoreError) {
        let used = try await set(objects, ["NX"], expiresAfter: expiresAfter)
        guard let first = used.first else { return }
        let tasks = used.map { task("replace", $0.key) }
        let sizes = try await perform(
            tasks.map { ["STRLEN", .string($0.redisKey)] }, bytes: 0, task("replace", first.key))
        for (task, size) in zip(tasks, sizes) { _ = try task.integer(size) }
        _ = try await set(used[...], [], expiresAfter: expiresAfter)
    }

    /// Sends a SET for each and returns those that the condition held back.
    private func set(
        _ objects: ArraySlice<(key: String, bytes: [UInt8])>, _ condition: [RedisArgument], expiresAfter: Duration?
    ) async throws(StoreError) -> [(key: String, bytes: [UInt8])] {
        guard let first = objects.first else { return [] }
        let expiry: [RedisArgument] = expiresAfter.map { ["PX", .integer(Self.milliseconds($0))] } ?? []
        let commands = objects.map { object -> [RedisArgument] in
            ["SET", .string(parts.redisKey(object.key)), .bytes(object.bytes)] + condition + expiry
        }
        let bytes = objects.reduce(0) { $0 + $1.bytes.count }
        let replies = try await perform(
            commands, bytes: bytes, isBulk: bytes > Self.inlineSizeBytesMax, task("put", first.key))
        var heldBack: [(key: String, bytes: [UInt8])] = []
        for (object, reply) in zip(objects, replies) {
            if try task("put", object.key).check(reply).isNull { heldBack.append(object) }
        }
        return heldBack
    }

    // MARK: Getting

    /// Whole objects, each of one moment. The first trip asks for one byte more than is inline: fewer bytes are all of
    /// the object, and none at all are those of an empty object, of a missing one or of one that has just changed.
    func wholes(_ keys: [String], isBulk: Bool) async throws(StoreError) -> [[UInt8]?] {
        let tasks = keys.map { task("get", $0) }
        guard let first = tasks.first else { return [] }
        let commands = tasks.flatMap { task -> [[RedisArgument]] in
            let name = RedisArgument.string(task.redisKey)
            return [["GETRANGE", name, 0, .integer(Self.inlineSizeBytesMax)], ["EXISTS", name]]
        }
        let replies = try await perform(commands, bytes: keys.count * Self.inlineSizeBytesMax, isBulk: isBulk, first)
        var objects: [[UInt8]?] = []
        for (index, task) in tasks.enumerated() {
            let bytes = try task.bytes(replies[2 * index])
            let exists = try task.integer(replies[2 * index + 1]) == 1
            if bytes.count > Self.inlineSizeBytesMax {
                objects.append(try await large(task))
            } else if bytes.isEmpty && exists {
                objects.append(try await task.bytesOrNil(ask(["GET", .string(task.redisKey)], task)))
            } else {
                objects.append(bytes.isEmpty ? nil : bytes)
            }
        }
        return objects
    }

    /// An object whose size is known, in one trip. One byte more is asked for, which tells an object that is larger; not all
    /// of it, so that the reply has a bound.
    func whole(_ task: RedisObjectTask, sizeBytes: Int) async throws(StoreError) -> [UInt8]? {
        if sizeBytes > 0 {
            try checkSize(sizeBytes, task)
            let command: [RedisArgument] = ["GETRANGE", .string(task.redisKey), 0, .integer(sizeBytes)]
            let isBulk = sizeBytes > Self.inlineSizeBytesMax
            let bytes = try await task.bytes(perform([command], bytes: sizeBytes, isBulk: isBulk, task)[0])
            if bytes.count == sizeBytes { return bytes }
        }
        // Empty, missing, or another object: that takes a closer look.
        return try await wholes([task.key], isBulk: false)[0]
    }

    private func large(_ task: RedisObjectTask) async throws(StoreError) -> [UInt8]? {
        guard let size = try await size(task) else { return nil }
        try checkSize(size, task)
        let replies = try await perform([["GET", .string(task.redisKey)]], bytes: size, isBulk: true, task)
        return try task.bytesOrNil(replies[0])
    }

    /// The part of the object that lies in a range. No bytes may also mean that there is no object; the commands that
    /// follow in the same trip tell.
    func part(_ range: Range<Int>, _ task: RedisObjectTask) async throws(StoreError) -> [UInt8]? {
        if range.count > objectSizeBytesMax {
            guard let size = try await size(task) else { return nil }
            try checkSize(range.clamped(to: 0..<size).count, task)
        }
        let name = RedisArgument.string(task.redisKey)
        let replies = try await perform(
            [
                ["GETRANGE", name, .integer(range.lowerBound), .integer(range.upperBound - 1)],
                ["STRLEN", name], ["EXISTS", name],
            ],
            bytes: min(range.count, objectSizeBytesMax), isBulk: range.count > Self.inlineSizeBytesMax, task)
        let bytes = try task.bytes(replies[0])
        let size = try task.integer(replies[1])
        let exists = try task.integer(replies[2]) == 1
        if !bytes.isEmpty { return bytes }
        if !exists { return nil }
        if size > 0 && range.lowerBound >= size { return [] }
        // An empty object, or one that was put between these commands: only one look at all of it can tell.
        return try await wholes([task.key], isBulk: false)[0].map { Array($0[range.clamped(to: 0..<$0.count)]) }
    }

    func size(_ task: RedisObjectTask) async throws(StoreError) -> Int? {
        let name = RedisArgument.string(task.redisKey)
        let replies = try await perform([["STRLEN", name], ["EXISTS", name]], bytes: 0, task)
        let size = try task.integer(replies[0])
        if size > 0 { return size }
        guard try task.integer(replies[1]) == 1 else { return nil }
        // Empty, or put between the two commands.
        return try await task.bytesOrNil(ask(["GET", name], task))?.count
    }

    private func checkSize(_ size: Int, _ task: RedisObjectTask) throws(StoreError) {
        guard size > objectSizeBytesMax else { return }
        throw StoreError(
            .tooLarge,
            "could not \(task.text): it has \(size) bytes in redis \(server) and the limit is \(objectSizeBytesMax): "
                + "ask for ranges of it, or raise the connector's object size limit")
    }
}
