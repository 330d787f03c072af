// What bulk streams leave of a path to urgent ones.
//
// BBR keeps up to two bandwidth-delay products under way, of which one waits in the queue before the narrowest link; there an
// urgent packet waits behind it, though it was first to leave here. So while urgent streams are in use, bulk ones keep no more
// under way than fills the path.
#include "quic.h"

static const uint64_t URGENT_FOR = NGTCP2_SECONDS, RATE_PERIOD = NGTCP2_SECONDS;

void share_note_urgent(troupe_quic *quic) { quic->urgent_until = troupe_now() + URGENT_FOR; }

static uint64_t best_rate(troupe_quic *quic, uint64_t fresh, uint64_t now) {
    if (now - quic->rate_since > RATE_PERIOD) {
        quic->last_rate = quic->rate;
        quic->rate = 0;
        quic->rate_since = now;
    }
    quic->rate = MAX(quic->rate, fresh);
    return MAX(quic->rate, quic->last_rate);
}

uint64_t share_bulk_room(troupe_quic *quic, uint64_t now) {
    ngtcp2_conn_stat statistics;
    ngtcp2_conn_get_conn_stat(quic->connection, &statistics);
    uint64_t rate = best_rate(quic, statistics.delivery_rate_sec, now);
    // As long as nothing is measured, the start of BBR goes its own way.
    if (now >= quic->urgent_until || rate == 0 || statistics.min_rtt == UINT64_MAX) return UINT64_MAX;
    // A tenth and a millisecond more than the path holds, so that it does not run dry between two acknowledgements.
    uint64_t time = statistics.min_rtt + statistics.min_rtt / 10 + NGTCP2_MILLISECONDS;
    uint64_t most = MAX(rate / 1000000 * (time / NGTCP2_MICROSECONDS), 16 * 1300);
    return most > statistics.bytes_in_flight ? most - statistics.bytes_in_flight : 0;
}
