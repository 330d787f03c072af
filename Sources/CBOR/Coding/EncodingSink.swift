import FoundationEssentials

/// Where all values of one `encode` go: one buffer, and a frame for each value whose own `encode(to:)` is running.
///
/// A value is written where it belongs at once. An array's or map's head is one byte until the value is complete, when
/// the count is known; entries of a map are sorted then, if they did not come sorted. Only nested containers and super
/// encoders, which their owner may fill at any time until it returns, write to a sink of their own and are spliced in.
final class EncodingSink {
    var writer: CBORWriter
    var frames: [EncodingFrame] = []
    /// Where each entry of the open frames begins: all entries of maps, the items of unordered collections.
    var entryStarts: [Int] = []
    var splices: [Splice] = []
    let userInfo: [CodingUserInfoKey: any Sendable]
    let depthMax: Int
    /// Arrays and maps open around the next item.
    private(set) var depth: Int
    /// Frames of the sinks around this one.
    private let recursionBase: Int
    /// The place of this sink in its parent; broken when the parent splices it in or gives it up.
    private var origin: (sink: EncodingSink, frame: FrameReference, entry: Int)?
    private var serial: UInt32 = 0
    var sorter = EntrySorter()
    /// Set by ``DictionaryKeyProbe`` alone, which wants to know the type of the keys.
    var isProbe = false
    var probedKeyType: ObjectIdentifier?

    struct Splice {
        let offset: Int
        let sink: EncodingSink
    }

    init(writer: CBORWriter, userInfo: [CodingUserInfoKey: any Sendable], depthMax: Int) {
        self.writer = writer
        self.userInfo = userInfo
        self.depthMax = depthMax
        depth = 0
        recursionBase = 0
    }

    private init(in parent: EncodingSink, frame: FrameReference) {
        writer = CBORWriter()
        userInfo = parent.userInfo
        depthMax = parent.depthMax
        depth = parent.depth
        recursionBase = parent.recursionBase + parent.frames.count
        origin = (parent, frame, parent.entryStarts.count - 1)
    }

    /// A sink for a container that is filled later than its place is taken, which `begin` does. If that fails, what is
    /// written to the child fails too.
    func makeChild(
        of frame: FrameReference, begin: () throws(CBORError) -> Void
    ) -> (sink: EncodingSink, frame: FrameReference) {
        var failure: CBORError?
        do throws(CBORError) {
            try begin()
        } catch {
            failure = error
        }
        let child = EncodingSink(in: self, frame: frame)
        let childFrame = child.pushUnchecked(type: Never.self)
        if let failure {
            child.frames[0].failure = failure
            child.origin = nil
        } else {
            splices.append(Splice(offset: writer.count, sink: child))
        }
        return (child, childFrame)
    }

    /// Finishes the one frame of a child and gives what it holds.
    func finishChild() throws(CBORError) -> [UInt8] {
        defer { origin = nil }
        try finish()
        return writer.bytes
    }

    func encode<Value: Encodable>(_ value: Value) throws {
        if let special = SpecialType.of(Value.self) {
            return try encodeSpecial(value, special)
        }
        let mark = mark()
        do throws(CBORError) {
            let frame = try push(type: Value.self)
            do {
                try value.encode(to: FrameEncoder(sink: self, frame: frame))
            } catch {
                throw CBORError.wrapping(error, path: self.path(to: frame).map(\.stringValue))
            }
            do throws(CBORError) {
                try finish()
            } catch {
                throw error.located(at: self.path(to: frame).map(\.stringValue))
            }
        } catch {
            reset(to: mark)
            throw error
        }
    }

    // MARK: Frames

    private func push(type: Any.Type) throws(CBORError) -> FrameReference {
        guard recursionBase + frames.count < depthMax * 4 else {
            throw CBORError(.tooDeep, "values nest deeper than \(depthMax * 4) calls of encode(to:)")
        }
        return pushUnchecked(type: type)
    }

    private func pushUnchecked(type: Any.Type) -> FrameReference {
        serial &+= 1
        frames.append(
            EncodingFrame(
                serial: serial, type: type, start: writer.count, entryBase: entryStarts.count,
                spliceBase: splices.count, depth: depth))
        return FrameReference(index: Int32(frames.count - 1), serial: serial)
    }

    /// Takes the frame for an array or a map, unless it is that already. What is wrong is thrown at the first write.
    func open(_ frame: FrameReference, as shape: EncodingFrame.Shape) {
        guard isCurrent(frame) else { return }
        let index = Int(frame.index)
        switch frames[index].shape {
        case .unset:
            frames[index].shape = shape
            depth += 1
            if depth > depthMax {
                frames[index].failure = CBORError(.tooDeep, "arrays and maps nest deeper than \(depthMax)")
            }
            writer.storage.append(0)
        case shape: break
        case .single, .array, .map:
            frames[index].failure = CBORError(
                .invalidUse, "\(frames[index].type) encodes itself as two kinds of container")
        }
    }

    /// Throws unless a value may be written to the frame now: it is the innermost one and of the shape meant.
    func check(_ frame: FrameReference, is shape: EncodingFrame.Shape) throws(CBORError) {
        guard isCurrent(frame) else {
            throw CBORError(.invalidUse, "an encoding container is used after its value was complete")
        }
        let index = Int(frame.index)
        if let failure = frames[index].failure { throw failure }
        guard frames[index].shape == shape else {
            throw CBORError(.invalidUse, "\(frames[index].type) encodes itself as two kinds of value")
        }
    }

    func isOpen(_ frame: FrameReference) -> Bool {
        Int(frame.index) < frames.count && frames[Int(frame.index)].serial == frame.serial
    }

    func isCurrent(_ frame: FrameReference) -> Bool {
        Int(frame.index) == frames.count - 1 && frames[frames.count - 1].serial == frame.serial
    }

    /// Completes the innermost frame: splices in, sorts and writes the head.
    private func finish() throws(CBORError) {
        let frame = frames[frames.count - 1]
        if let failure = frame.failure { throw failure }
        if splices.count > frame.spliceBase { try spliceChildren(of: frame) }
        switch frame.shape {
        case .unset: writer.writeMapHeader(0)
        case .single: break
        case .array:
            if let perEntry = frame.itemsPerEntry, frame.count > perEntry {
                sorter.sortItems(in: &writer, starts: entryStarts[frame.entryBase...], perEntry: perEntry)
            }
            writer.replaceHead(at: frame.start, major: 0x80, count: frame.count)
        case .map:
            var count = frame.count
            if !frame.isSorted {
                count = sorter.sortPairs(in: &writer, starts: entryStarts[frame.entryBase...])
            }
            writer.replaceHead(at: frame.start, major: 0xa0, count: count)
        }
        entryStarts.removeSubrange(frame.entryBase...)
        depth = frame.depth
        frames.removeLast()
    }

    private func spliceChildren(of frame: EncodingFrame) throws(CBORError) {
        let children = splices[frame.spliceBase...]
        let first = children[children.startIndex].offset
        let tail = Array(writer.storage[first...])
        writer.storage.removeSubrange(first...)
        var copied = first
        var entry = frame.entryBase
        for child in children {
            writer.storage.append(contentsOf: tail[copied - first..<child.offset - first])
            copied = child.offset
            let shift = writer.count - child.offset
            while entry < entryStarts.count && entryStarts[entry] < child.offset {
                if entryStarts[entry] >= first { entryStarts[entry] += shift }
                entry += 1
            }
            writer.storage.append(contentsOf: try child.sink.finishChild())
        }
        let shift = writer.count - copied
        for index in entry..<entryStarts.count { entryStarts[index] += shift }
        writer.storage.append(contentsOf: tail[(copied - first)...])
        splices.removeSubrange(frame.spliceBase...)
    }

    // MARK: Undoing

    struct Mark {
        let frames, bytes, entries, splices, depth: Int
    }

    func mark() -> Mark {
        Mark(
            frames: frames.count, bytes: writer.count, entries: entryStarts.count, splices: splices.count,
            depth: depth)
    }

    /// Forgets what was written since the mark, so that a type which catches an error can go on.
    func reset(to mark: Mark) {
        frames.removeSubrange(mark.frames...)
        writer.storage.removeSubrange(mark.bytes...)
        entryStarts.removeSubrange(mark.entries...)
        for splice in splices[mark.splices...] { splice.sink.origin = nil }
        splices.removeSubrange(mark.splices...)
        depth = mark.depth
    }

    // MARK: Paths

    /// The keys to a frame, read back from what has been written, since few ask.
    func path(to frame: FrameReference) -> [any CodingKey] {
        var path: [any CodingKey] = []
        if let origin {
            path = origin.sink.path(to: origin.frame)
            if let key = origin.sink.key(in: origin.frame, entry: origin.entry) { path.append(key) }
        }
        for index in 0..<min(Int(frame.index), frames.count - 1) {
            let reference = FrameReference(index: Int32(index), serial: frames[index].serial)
            if let key = key(in: reference, entry: frames[index + 1].entryBase - 1) { path.append(key) }
        }
        return path
    }

    private func key(in frame: FrameReference, entry: Int) -> (any CodingKey)? {
        guard Int(frame.index) < frames.count else { return nil }
        let frame = frames[Int(frame.index)]
        switch frame.shape {
        case .unset, .single: return nil
        case .array: return PlaceKey.index(frame.count - 1)
        case .map:
            guard entry >= frame.entryBase && entry < entryStarts.count else { return nil }
            var reader = CBORReader(writer.storage[entryStarts[entry]...])
            if let text = try? reader.readText() { return PlaceKey.name(text) }
            return (try? reader.readInt()).map(PlaceKey.index)
        }
    }
}
