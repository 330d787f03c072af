#include "CTroupeMemory.h"

#ifdef __linux__
#include <malloc.h>
#endif

bool troupe_set_allocator(int mapped_size_bytes_min, int kept_size_bytes_max) {
#ifdef __GLIBC__
    return mallopt(M_MMAP_THRESHOLD, mapped_size_bytes_min) && mallopt(M_TRIM_THRESHOLD, kept_size_bytes_max);
#else
    (void)mapped_size_bytes_min;
    (void)kept_size_bytes_max;
    return false;
#endif
}
