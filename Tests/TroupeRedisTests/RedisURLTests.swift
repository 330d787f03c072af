import Testing
import TroupeRedis

@Suite struct RedisURLTests {
    private func parse(
        _ url: String, further: Set<String> = [], environment: [String: String] = [:]
    ) throws -> RedisConfiguration {
        try RedisConfiguration(url: url, furtherOptions: further) { environment[$0] }
    }

    @Test func readsAllPartsOfATCPURL() throws {
        let configuration = try parse(
            "redis://al%40ice:p%3Aw%2F@db.example:7000/3?prefix=lab-1&shards=4", further: ["shards"])
        #expect(configuration.address == .tcp(host: "db.example", port: 7000))
        #expect(configuration.user == "al@ice")
        #expect(configuration.password?.text == "p:w/")
        #expect(configuration.database == 3)
        #expect(configuration.prefix == "lab-1")
        #expect(configuration.options == ["shards": "4"])
        #expect(configuration.tls == nil)
    }

    @Test func hasDefaults() throws {
        let configuration = try parse("redis://localhost")
        #expect(configuration.address == .tcp(host: "localhost", port: 6379))
        #expect(configuration.prefix == "troupe")
        #expect(configuration.user == nil && configuration.password == nil && configuration.database == 0)
    }

    @Test func readsUnixTLSAndIPv6() throws {
        let unix = try parse("redis+unix:///run/my%20redis.sock?db=2")
        #expect(unix.address == .unix(path: "/run/my redis.sock"))
        #expect(unix.database == 2)
        let tls = try parse("rediss://:pw@[::1]:6380/?ca=/a.pem&cert=/c.pem&key=/k.pem&verify=none")
        #expect(tls.address == .tcp(host: "::1", port: 6380))
        #expect(tls.password?.text == "pw" && tls.user == nil)
        #expect(tls.tls?.caFile == "/a.pem" && tls.tls?.certificateFile == "/c.pem" && tls.tls?.keyFile == "/k.pem")
        #expect(tls.tls?.verification == RedisConfiguration.TLS.Verification.none)
    }

    @Test func readsSentinels() throws {
        let configuration = try parse("redis+sentinel://ann:pw@a,b:7000,[::1]:9/main/3?replicas=2&sentinel-user=eve")
        #expect(configuration.address == .tcp(host: "a", port: 26_379))
        let further = [
            RedisConfiguration.Address.tcp(host: "b", port: 7000), RedisConfiguration.Address.tcp(host: "::1", port: 9),
        ]
        #expect(configuration.topology == .sentinel(primary: "main", further: further))
        #expect(configuration.database == 3 && configuration.replicaCountMin == 2)
        #expect(configuration.user == "ann" && configuration.sentinelUser == "eve")
        #expect(
            "\(configuration)" == "redis+sentinel://ann@a:26379,b:7000,[::1]:9/main/3?prefix=troupe&replicas=2")
    }

    @Test func readsClusters() throws {
        let configuration = try parse("rediss+cluster://a,b:7000?shards=4", further: ["shards"])
        #expect(configuration.topology == .cluster(further: [.tcp(host: "b", port: 7000)]))
        #expect(configuration.tls != nil)
        #expect("\(configuration)" == "rediss+cluster://a:6379,b:7000?prefix=troupe")
    }

    @Test func takesThePasswordFromTheEnvironmentOnlyWhenTheURLHasNone() throws {
        let environment = ["TROUPE_REDIS_PASSWORD": "outer"]
        #expect(try parse("redis://h", environment: environment).password?.text == "outer")
        #expect(try parse("redis://:inner@h", environment: environment).password?.text == "inner")
    }

    @Test func neverShowsThePassword() throws {
        let configuration = try parse("redis://ann:s3cret@h:1/2")
        #expect("\(configuration)" == "redis://ann@h:1/2?prefix=troupe")
        let texts = [
            String(describing: configuration), String(reflecting: configuration), "\(configuration.password as Any)",
            String(reflecting: configuration.password),
        ]
        for text in texts {
            #expect(!text.contains("s3cret"))
        }
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!dumped.contains("s3cret"))
    }

    @Test(arguments: [
        ("localhost:6379", "scheme"), ("http://h", "scheme \"http\""), ("redis://", "no host"),
        ("redis://h:0", "port \"0\""), ("redis://h:6379x", "port"), ("redis://h:", "port"),
        ("redis://h/x", "database \"x\""),
        ("redis://h/-1", "database"), ("redis://h?prefix=a:b", "prefix"), ("redis://h?prefix=", "prefix"),
        ("redis://h?wat=1", "option \"wat\""), ("redis://h?prefix", "no value"), ("redis://h?db=1&db=2", "twice"),
        ("redis://h?ca=/x", "rediss"), ("rediss://h?verify=maybe", "verify"), ("redis://h%2", "host"),
        ("redis://h%ff", "host"), ("redis://[::1", "']'"), ("redis://a b", "blanks"),
        ("redis+unix://host/x", "absolute"),
        ("redis+unix:///", "absolute"), ("", "scheme"),
        ("redis://h?password-file=/does/not/exist", "password file"), ("redis://a,b", "several hosts"),
        ("redis+sentinel://a,b", "name of the primary"), ("redis+sentinel://a,/main", "no host"),
        ("redis+sentinel://a/main/1/2", "name of the primary"), ("redis+cluster://a/1", "no database but 0"),
        ("redis+cluster://a?db=1", "no database but 0"), ("redis://a?replicas=-1", "replicas"),
        ("redis://a?sentinel-user=x", "redis+sentinel"), ("redis+cluster://a?ca=/x", "begins with rediss"),
    ])
    func refusesAndNamesThePart(url: String, part: String) throws {
        let error = try #require(throws: RedisError.self) { _ = try parse(url) }
        #expect(error.code == .invalidConfiguration)
        #expect(error.message.contains(part), "\(error)")
    }

    @Test func doesNotRepeatThePasswordOfAMalformedURL() throws {
        let urls = [
            "redis://ann:s3cret@h:port", "redis://ann:s3cret%@h", "foo://ann:s3cret@h", "redis://ann:s3cret@h?s3=1",
            "redis://ann:s3cret/more@h", "redis://ann:s3cret?more@h",
        ]
        for url in urls {
            let error = try #require(throws: RedisError.self) { _ = try parse(url) }
            #expect(!"\(error)".contains("s3cret"), "\(error)")
        }
    }
}
