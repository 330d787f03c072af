#ifndef TROUPE_MEMORY_H
#define TROUPE_MEMORY_H

#include <stdbool.h>

/// From which size on the allocator gives each block pages of its own, which go back to the system when it is freed, and how much
/// free memory it keeps at the end of each of its heaps. False where the C library has no such settings or refuses them.
bool troupe_set_allocator(int mapped_size_bytes_min, int kept_size_bytes_max);

#endif
