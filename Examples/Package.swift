// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "troupe-examples",
    products: [
        .executable(name: "counter", targets: ["counter"]),
        .executable(name: "logbook", targets: ["logbook"]),
        .executable(name: "federated", targets: ["federated"]),
    ],
    dependencies: [
        .package(name: "troupe", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "counter", dependencies: [.product(name: "Troupe", package: "troupe"), argumentParser],
            path: "01-counter",
            swiftSettings: strict),
        .executableTarget(
            name: "logbook", dependencies: [.product(name: "Troupe", package: "troupe"), argumentParser],
            path: "02-temporal-decoupling", swiftSettings: strict),
        .executableTarget(
            name: "federated",
            dependencies: ["FederatedLearningModel", .product(name: "Troupe", package: "troupe"), argumentParser],
            path: "03-federated-learning/App", swiftSettings: strict),
        .target(
            name: "CDigits", path: "03-federated-learning/CDigits",
            exclude: ["digits.csv", "LICENSE.scikit-learn", "SOURCE.md"]),
        .target(
            name: "FederatedLearningModel", dependencies: ["CDigits"], path: "03-federated-learning/Learning",
            swiftSettings: strict),
        .testTarget(
            name: "ExampleTests",
            dependencies: ["counter", "logbook", "federated", .product(name: "Troupe", package: "troupe")],
            swiftSettings: strict),
        .testTarget(
            name: "DocumentationTests", dependencies: [.product(name: "Troupe", package: "troupe"), argumentParser],
            swiftSettings: strict),
        .testTarget(name: "LearningTests", dependencies: ["FederatedLearningModel"], swiftSettings: strict),
    ]
)
