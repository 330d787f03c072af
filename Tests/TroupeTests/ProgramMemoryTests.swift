import Glibc
import Testing
import Troupe

/// In processes of their own, since the settings are those of a whole process.
@Suite struct ProgramMemoryTests {
    /// Arrays such as large arguments come and go: their pages must not be got anew each time.
    @Test func freedArraysAreUsedAgain() async {
        await #expect(processExitsWith: .success) {
            precondition(ProgramMemory.keepFreedArrays())
            arraysComeAndGo()
            let before = pageFaultCount()
            for _ in 0..<20 { arraysComeAndGo() }
            // Without the setting it is all pages of all arrays: some 2000 each time.
            precondition(pageFaultCount() - before < 2000)
        }
    }
}

/// Eight arrays of 1 MB that live at the same time, each written.
private func arraysComeAndGo() {
    let arrays = (0..<8).map { [UInt8](repeating: UInt8($0), count: 1_000_000) }
    precondition(arrays.allSatisfy { $0.count == 1_000_000 })
}

private func pageFaultCount() -> Int {
    var usage = rusage()
    precondition(getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0)
    return usage.ru_minflt
}
