// A queue of bytes in pieces that stay where they are.
#include "quic.h"
#include <string.h>

/// Small writes share a piece; large ones are cut, so that memory comes back while a stream goes on.
enum { CHUNK_MIN = 4096, CHUNK_MAX = 65536 };

void chunks_append(chunks *chunks, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        chunk *last = chunks->last;
        if (last == NULL || last->used == last->capacity) {
            size_t capacity = CLAMP(size, CHUNK_MIN, CHUNK_MAX);
            last = g_malloc(sizeof(chunk) + capacity);
            last->next = NULL;
            last->capacity = capacity;
            last->used = last->taken = 0;
            if (chunks->last == NULL) chunks->first = last;
            else chunks->last->next = last;
            chunks->last = last;
        }
        size_t count = MIN(size, last->capacity - last->used);
        memcpy(last->bytes + last->used, bytes, count);
        last->used += count;
        chunks->size += count;
        bytes += count;
        size -= count;
    }
}

void chunks_drop_first(chunks *chunks) {
    chunk *first = chunks->first;
    chunks->first = first->next;
    if (chunks->first == NULL) chunks->last = NULL;
    g_free(first);
}

void chunks_clear(chunks *chunks) {
    while (chunks->first != NULL) chunks_drop_first(chunks);
    chunks->size = 0;
}
