// The path: in the place of ice.c, it loses, doubles, changes and invents datagrams.
#include "fuzz.h"
#include <string.h>

/// What is under way; more is lost, as in any queue.
enum { ARRIVING_MAX = 512 };

void path_make(troupe_ice *a, troupe_ice *b) {
    *a = (troupe_ice){.peer = b};
    *b = (troupe_ice){.peer = a};
    g_queue_init(&a->arriving);
    g_queue_init(&b->arriving);
}

static void deliver(void *user) {
    troupe_ice *ice = user;
    ice->is_delivering = false;
    for (guint left = g_queue_get_length(&ice->arriving); left > 0; left--) {
        GBytes *bytes = g_queue_pop_head(&ice->arriving);
        gsize size = 0;
        const uint8_t *data = g_bytes_get_data(bytes, &size);
        // In memory of its own size, so that a read beyond it is found.
        uint8_t *copy = g_memdup2(data, size);
        if (ice->receive != NULL) ice->receive(ice->context, copy, size);
        g_free(copy);
        g_bytes_unref(bytes);
    }
}

void path_inject(troupe_ice *to, const uint8_t *bytes, size_t size) {
    if (to->is_gone || size == 0 || g_queue_get_length(&to->arriving) >= ARRIVING_MAX) return;
    GBytes *copy = g_bytes_new(bytes, size);
    // Now and then before others.
    if (to->peer->wire != INTACT && below(8) == 0) g_queue_push_head(&to->arriving, copy);
    else g_queue_push_tail(&to->arriving, copy);
    if (to->is_delivering) return;
    to->is_delivering = true;
    troupe_loop_post(deliver, to);
}

void path_close(troupe_ice *ice) {
    ice->is_gone = true;
    g_queue_clear_full(&ice->arriving, (GDestroyNotify)g_bytes_unref);
    g_queue_init(&ice->arriving);
}

void troupe_ice_set_receiver(troupe_ice *ice, void (*receive)(void *, const uint8_t *, size_t), void *context) {
    ice->receive = receive;
    ice->context = context;
}

void troupe_ice_send(troupe_ice *ice, const uint8_t *bytes, size_t size) {
    uint8_t copy[2048];
    DEMAND(size <= sizeof copy);
    memcpy(copy, bytes, size);
    switch (ice->wire) {
    case INTACT: break;
    case LOSSY:
        if (below(5) == 0) return;
        if (below(8) == 0) path_inject(ice->peer, copy, size);
        break;
    case CHANGED:
        if (below(3) == 0) scramble(copy, size);
        if (below(10) == 0) size = below(size + 1);
        break;
    case RANDOM:
        if (below(2) == 0) {
            uint8_t noise[1500];
            size_t length = 1 + below(sizeof noise);
            fill(noise, length);
            // A long header of version 1, so that more than the first byte is looked at.
            if (below(2) == 0 && length > 6) memcpy(noise, "\xC3\0\0\0\1\x08", 6);
            path_inject(ice->peer, noise, length);
        }
        break;
    }
    path_inject(ice->peer, copy, size);
}
