/// The text of `INFO`.
enum ServerInfo {
    static func line(_ name: String, in info: String) -> String? {
        for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix("\(name):") {
            return String(line.dropFirst(name.count + 1))
        }
        return nil
    }
}
