// SplitMix64 (Steele, Lea and Flood, 2014).
#include "fuzz.h"

static uint64_t state;

void seed_random(uint64_t seed) { state = seed; }

uint64_t next_random(void) {
    uint64_t word = state += 0x9E3779B97F4A7C15u;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

uint64_t below(uint64_t bound) { return next_random() % bound; }

void fill(uint8_t *bytes, size_t size) {
    for (size_t at = 0; at < size; at++) bytes[at] = (uint8_t)next_random();
}

void scramble(uint8_t *bytes, size_t size) {
    if (size == 0) return;
    for (uint64_t left = 1 + below(4); left > 0; left--) {
        uint8_t *byte = bytes + below(size);
        switch (below(3)) {
        case 0: *byte = (uint8_t)next_random(); break;
        case 1: *byte ^= (uint8_t)(1u << below(8)); break;
        default: *byte = below(2) == 0 ? 0xFF : 0; break;
        }
    }
}
