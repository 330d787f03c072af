import Testing

@testable import TroupeRedis

@Suite struct TopologyTests {
    @Test(arguments: [("123456789", 12_739), ("", 0), ("user1000", 3443), ("foo", 12_182)])
    func slotsAreThoseOfTheSpecification(tag: String, slot: Int) {
        #expect(ClusterSlot.number(of: Array(tag.utf8)) == slot)
    }

    @Test func detoursAreReadFromErrors() {
        let cluster = RedisConfiguration.Topology.cluster(further: [])
        #expect(Detour("MOVED 3999 127.0.0.1:6381", cluster) == .elsewhere(.tcp(host: "127.0.0.1", port: 6381)))
        #expect(Detour("MOVED 3999 ::1:6381", cluster) == .elsewhere(.tcp(host: "::1", port: 6381)))
        #expect(Detour("MOVED 3999 :6381", cluster) == .elsewhere(nil))
        #expect(Detour("MOVED 3999 ?:6381", cluster) == .elsewhere(nil))
        #expect(Detour("MOVED", cluster) == .elsewhere(nil))
        #expect(Detour("MOVED 3999 127.0.0.1:6381", .single) == nil)
        #expect(Detour("TRYAGAIN Multiple keys request during rehashing of slot", cluster) == .later)
        #expect(Detour("ASK 3999 127.0.0.1:6381", cluster) == .later)
        #expect(Detour("READONLY You can't write", .single) == nil)
        #expect(Detour("READONLY You can't write", .sentinel(primary: "m", further: [])) == .elsewhere(nil))
        #expect(Detour("ERR Function not found", .single) == .loadFunctions)
        #expect(Detour("OOM command not allowed", cluster) == nil)
        #expect(Detour("", cluster) == nil)
    }
}
