/// What a pass over an item found besides its end.
struct CBORSurvey {
    var itemsLeft: Int
    var hasIndefiniteLength = false
}

extension CBORReader {
    /// Tags directly on tags; deeper towers have no use and cost a recursive reader its stack.
    static var tagChainMax: Int { 16 }

    /// Reads past one item, whatever it is, checking that it is well-formed and not too deep.
    public mutating func skip() throws(CBORError) {
        var survey = CBORSurvey(itemsLeft: .max)
        try skip(depth: 0, &survey)
    }

    /// One item as it is encoded, as a slice of the input.
    public mutating func readEncoded() throws(CBORError) -> ArraySlice<UInt8> {
        let start = position
        try skip()
        return bytes[start..<position]
    }

    mutating func skip(depth: Int, _ survey: inout CBORSurvey) throws(CBORError) {
        var head = try countedHead(&survey)
        var tags = 0
        while head.major == 6 {
            tags += 1
            guard tags <= Self.tagChainMax else {
                throw CBORError(.tooDeep, "more than \(Self.tagChainMax) tags on one item", offset: offset)
            }
            head = try countedHead(&survey)
        }
        if head.isIndefinite { return try skipIndefinite(head, depth: depth, &survey) }
        switch head.major {
        case 2, 3: _ = try take(head.argument)
        case 4, 5:
            let (count, isTooMany) = head.argument.multipliedReportingOverflow(by: head.major == 5 ? 2 : 1)
            guard !isTooMany && count <= UInt64(remaining) else {
                throw .truncatedInput(at: offset, needing: head.argument)
            }
            try checkDepth(depth + 1)
            for _ in 0..<Int(count) { try skip(depth: depth + 1, &survey) }
        default: break
        }
    }

    private mutating func skipIndefinite(
        _ head: CBORHead, depth: Int, _ survey: inout CBORSurvey
    ) throws(CBORError) {
        survey.hasIndefiniteLength = true
        switch head.major {
        case 2, 3:
            while try !readBreak() {
                let chunk = try countedHead(&survey)
                guard chunk.major == head.major && !chunk.isIndefinite else {
                    throw .malformed("a chunk of another type in a string of indefinite length", at: offset - 1)
                }
                _ = try take(chunk.argument)
            }
        case 4, 5:
            try checkDepth(depth + 1)
            while try !readBreak() {
                try skip(depth: depth + 1, &survey)
                if head.major == 5 { try skip(depth: depth + 1, &survey) }
            }
        default: throw .malformed("a break code where an item should begin", at: offset - 1)
        }
    }

    /// Reads the break code if it is next, and says whether it was.
    mutating func readBreak() throws(CBORError) -> Bool {
        guard try peekByte() == 0xff else { return false }
        position += 1
        return true
    }

    private func checkDepth(_ depth: Int) throws(CBORError) {
        guard depth <= depthMax else {
            throw CBORError(.tooDeep, "arrays and maps nest deeper than \(depthMax)", offset: offset - 1)
        }
    }

    private mutating func countedHead(_ survey: inout CBORSurvey) throws(CBORError) -> CBORHead {
        guard survey.itemsLeft > 0 else {
            throw CBORError(.tooManyItems, "the input has more items than the limit", offset: offset)
        }
        survey.itemsLeft -= 1
        return try readHead()
    }
}

extension CBORReader {
    /// Checks that `bytes` are one well-formed item within `limits`, and gives it with definite lengths only.
    static func wholeItem(_ bytes: ArraySlice<UInt8>, limits: CBORLimits) throws(CBORError) -> ArraySlice<UInt8> {
        guard bytes.count <= limits.sizeBytesMax else {
            throw CBORError(
                .tooLarge, "the input has \(bytes.count) bytes, more than the limit of \(limits.sizeBytesMax)",
                offset: limits.sizeBytesMax)
        }
        var reader = CBORReader(bytes, depthMax: limits.depthMax)
        var survey = CBORSurvey(itemsLeft: limits.itemCountMax)
        try reader.skip(depth: 0, &survey)
        try reader.finish()
        guard survey.hasIndefiniteLength else { return bytes }
        var writer = CBORWriter(capacity: bytes.count)
        reader.move(to: 0)
        try reader.copyDefinite(into: &writer)
        return writer.bytes[...]
    }

    /// Copies one well-formed item, giving every array, map and string a definite length.
    private mutating func copyDefinite(into writer: inout CBORWriter) throws(CBORError) {
        let start = position
        let head = try readHead()
        switch head.major {
        case 2 where head.isIndefinite, 3 where head.isIndefinite:
            var content: [UInt8] = []
            while try !readBreak() { content += try take(try readHead().argument) }
            writer.writeHead(head.major << 5, UInt64(content.count))
            writer.writeEncoded(content)
        case 2, 3:
            _ = try take(head.argument)
            writer.writeEncoded(bytes[start..<position])
        case 4, 5: try copyDefiniteContainer(head, start: start, into: &writer)
        case 6:
            writer.writeEncoded(bytes[start..<position])
            try copyDefinite(into: &writer)
        default: writer.writeEncoded(bytes[start..<position])
        }
    }

    private mutating func copyDefiniteContainer(
        _ head: CBORHead, start: Int, into writer: inout CBORWriter
    ) throws(CBORError) {
        let itemsPerEntry = head.major == 5 ? 2 : 1
        guard head.isIndefinite else {
            writer.writeEncoded(bytes[start..<position])
            for _ in 0..<Int(head.argument) * itemsPerEntry { try copyDefinite(into: &writer) }
            return
        }
        var content = CBORWriter()
        var count: UInt64 = 0
        while try !readBreak() {
            for _ in 0..<itemsPerEntry { try copyDefinite(into: &content) }
            count += 1
        }
        writer.writeHead(head.major << 5, count)
        writer.writeEncoded(content.bytes)
    }
}
