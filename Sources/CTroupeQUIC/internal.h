// What the files of this target tell each other.
#pragma once
#include "CTroupeQUIC.h"
#include <glib.h>

/// The loop's context; starts its thread at the first call.
GMainContext *troupe_loop_context(void);

/// A source that calls back when told to, as soon as the loop comes round.
GSource *troupe_loop_trigger(void (*run)(void *), void *context);
/// Nanoseconds of the monotonic clock.
uint64_t troupe_now(void);

/// Who gets the datagrams that come through a path; NULL for nobody.
void troupe_ice_set_receiver(troupe_ice *ice, void (*receive)(void *, const uint8_t *, size_t), void *context);
/// Whatever cannot be sent at once is lost, as on any path.
void troupe_ice_send(troupe_ice *ice, const uint8_t *bytes, size_t size);
