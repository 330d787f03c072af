// swift-tools-version: 6.2
import PackageDescription

/// The settings every target of ours is built with: Swift 6 mode, explicit existentials, imports that say what they
/// leak, and no warnings.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

/// For the targets that hold a folder of unsafe code around a C library.
let strictMemory: [SwiftSetting] = strict + [.strictMemorySafety()]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let collections: [Target.Dependency] = ["DequeModule", "HeapModule", "OrderedCollections"].map {
    .product(name: $0, package: "swift-collections")
}
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let serviceLifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")

let package = Package(
    name: "troupe",
    products: [
        .library(name: "Troupe", targets: ["Troupe"]),
        .library(name: "TroupeTesting", targets: ["TroupeTesting"]),
        .executable(name: "troupe", targets: ["TroupeCLI"]),
        .executable(name: "troupe-simulate", targets: ["TroupeSimulation"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.0"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    ],
    targets: [
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CNNG", providers: [.apt(["libnng-dev"])]),
        .target(name: "CTroupeMemory"),
        // Not libnice's own flags: among them is one that packages may not use, and GLib's are enough for its headers.
        .systemLibrary(name: "CGLib", pkgConfig: "gobject-2.0", providers: [.apt(["libglib2.0-dev"])]),
        .target(
            name: "CTroupeQUIC", dependencies: ["CGLib"],
            linkerSettings: [
                "nice", "ngtcp2_crypto_gnutls", "ngtcp2", "gnutls", "gio-2.0", "gobject-2.0", "glib-2.0",
            ].map { .linkedLibrary($0) }),
        .target(name: "CTroupeSections"),
        .target(name: "CBOR", swiftSettings: strict),
        .target(name: "TroupeCore", dependencies: ["CBOR", logging] + collections, swiftSettings: strict),
        .target(name: "TroupeStore", dependencies: ["CBOR"], swiftSettings: strict),
        .target(
            name: "TroupeRuntime",
            dependencies: [
                "CBOR", "CTroupeSections", "TroupeCore", "TroupeStore", argumentParser, logging, serviceLifecycle,
            ] + collections,
            swiftSettings: strict),
        .target(
            name: "TroupeRedis",
            dependencies: [
                "CBOR", "CHiredis", "TroupeCore", "TroupeStore", logging,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strictMemory),
        .target(
            name: "TroupeBroker",
            dependencies: [
                "CBOR", "CNNG", "TroupeCore", "TroupeStore", crypto, logging, serviceLifecycle,
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: strictMemory),
        .target(
            name: "TroupeEndpointClient", dependencies: ["CBOR", "TroupeBroker", "TroupeCore", "TroupeStore"],
            swiftSettings: strict),
        .target(
            name: "TroupeEndpoint",
            dependencies: [
                "CBOR", "CTroupeQUIC", "TroupeBroker", "TroupeCore", "TroupeEndpointClient", "TroupeStore",
                crypto, logging, serviceLifecycle,
                .product(name: "JWTKit", package: "jwt-kit"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "X509", package: "swift-certificates"),
            ] + collections,
            swiftSettings: strictMemory),
        .target(
            name: "Troupe",
            dependencies: [
                "CTroupeMemory", "TroupeCore", "TroupeEndpointClient", "TroupeStore", "TroupeRuntime", "TroupeRedis",
                "TroupeBroker", argumentParser, logging, serviceLifecycle, unixSignals,
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .target(
            name: "TroupeTesting",
            dependencies: ["CBOR", "TroupeCore", "TroupeStore", logging, subprocess],
            swiftSettings: strict),
        .target(
            name: "TroupeSoak",
            dependencies: [
                "Troupe", "TroupeCore", "TroupeEndpoint", "TroupeRuntime", "TroupeTesting",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "TroupeSimulation",
            dependencies: ["CBOR", "TroupeCore", "TroupeRuntime", "TroupeTesting", argumentParser, logging],
            swiftSettings: strict),
        .executableTarget(
            name: "TroupeCLI",
            dependencies: [
                "CBOR", "Troupe", "TroupeBroker", "TroupeCore", "TroupeEndpoint", "TroupeStore", "TroupeRuntime",
                "TroupeSoak",
                "TroupeTesting", argumentParser, logging,
                serviceLifecycle, subprocess, unixSignals,
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CBORTests", dependencies: ["CBOR"], resources: [.copy("Resources")], swiftSettings: strict),
        .testTarget(
            name: "TroupeCoreTests", dependencies: ["CBOR", "TroupeCore", "TroupeTesting"], swiftSettings: strict),
        .testTarget(
            name: "TroupeStoreTests", dependencies: ["CBOR", "TroupeStore", "TroupeTesting"], swiftSettings: strict),
        .testTarget(
            name: "TroupeRuntimeTests",
            dependencies: ["CBOR", "TroupeCore", "TroupeRuntime", "TroupeStore", "TroupeTesting", logging],
            swiftSettings: strict),
        .testTarget(
            name: "TroupeRedisTests",
            dependencies: ["CBOR", "TroupeCore", "TroupeRedis", "TroupeStore", "TroupeTesting"], swiftSettings: strict),
        .testTarget(
            name: "TroupeBrokerTests",
            dependencies: ["CBOR", "TroupeBroker", "TroupeCore", "TroupeStore", "TroupeTesting", logging],
            swiftSettings: strict),
        .testTarget(
            name: "TroupeEndpointTests",
            dependencies: [
                "CBOR", "PeerNode", "Troupe", "TroupeBroker", "TroupeCore", "TroupeEndpoint", "TroupeRuntime",
                "TroupeStore",
                "TroupeTesting", logging,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TroupeSimulationTests",
            dependencies: [
                "TroupeSimulation", "TroupeTesting", subprocess,
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TroupeCLITests",
            dependencies: ["CBOR", "TroupeCLI", "TroupeCore", "TroupeStore", "TroupeTesting", argumentParser],
            swiftSettings: strict),
        .testTarget(name: "TroupeSoakTests", dependencies: ["TroupeSoak", "TroupeTesting"], swiftSettings: strict),
        .testTarget(
            name: "TroupeTests",
            dependencies: ["Troupe", "TroupeCore", "TroupeRuntime", "TroupeStore", "TroupeTesting"],
            swiftSettings: strict),
        .executableTarget(
            name: "FaultNode",
            dependencies: [
                "Troupe", "TroupeRuntime", argumentParser,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "Tests/FaultNode", swiftSettings: strict),
        .executableTarget(
            name: "PeerNode",
            dependencies: [
                "TroupeEndpoint", argumentParser, crypto,
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/PeerNode", swiftSettings: strict),
        .executableTarget(
            name: "ReleaseCheck", dependencies: ["TroupeCore", "TroupeRuntime", "TroupeStore"],
            path: "Tests/ReleaseCheck",
            swiftSettings: strict),
        .testTarget(
            name: "TroupeFaultTests", dependencies: ["FaultNode", "Troupe", "TroupeTesting"], swiftSettings: strict),
    ]
)
