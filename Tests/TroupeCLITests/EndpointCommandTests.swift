import Testing
import TroupeCore

@testable import TroupeCLI

@Suite("The words of other sites on the command line")
struct EndpointCommandTests {
    @Test("a method's full name is enough where nobody can be asked")
    func fullNames() {
        #expect(MethodLookup.described("add(_:)")?.labels == ["_"])
        #expect(MethodLookup.described("transfer(to:_:)")?.labels == ["to", "_"])
        #expect(MethodLookup.described("work()")?.labels == [])
        for word in ["add", "(_:)", "add(_)", "add(_:", ""] { #expect(MethodLookup.described(word) == nil) }
    }
}
