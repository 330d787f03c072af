// When packets leave, and what bulk streams leave of a path to urgent ones.
#include "quic.h"

// MARK: The pace

// BBR wants packets to leave at a pace. ngtcp2 counts each interval from when the last packets did leave, and lets the next ones leave
// a millisecond early. So by itself it falls behind the pace as the loop comes late, and runs ahead of it as the loop comes often.

/// So much by time is sent in one go, so that an urgent packet finds no long row before it.
static const uint64_t BURST = NGTCP2_MILLISECONDS / 2;
/// What was not sent in time is made up for as far as this.
static const uint64_t LATE_MAX = 4 * NGTCP2_MILLISECONDS;
/// How early ngtcp2 lets packets leave (NGTCP2_PKT_PACING_OVERHEAD, which its header does not tell).
static const uint64_t EARLY = NGTCP2_MILLISECONDS;

static uint64_t paced_from(const troupe_quic *quic, uint64_t now) { return MAX(quic->paced_until, now - LATE_MAX); }

size_t pace_room(const troupe_quic *quic, uint64_t now) {
    ngtcp2_conn_stat statistics;
    ngtcp2_conn_get_conn_stat(quic->connection, &statistics);
    uint64_t from = paced_from(quic, now), due = from < now ? now - from : 0;
    return MAX((size_t)((double)(due + BURST) * statistics.pacing_rate), 2 * statistics.max_tx_udp_payload_size);
}

void pace_note_sent(troupe_quic *quic, size_t size, uint64_t now) {
    ngtcp2_conn_stat statistics;
    ngtcp2_conn_get_conn_stat(quic->connection, &statistics);
    uint64_t from = paced_from(quic, now);
    ngtcp2_conn_update_pkt_tx_time(quic->connection, from + EARLY);
    // What leaves before its time is acknowledgements alone. Many of them would put off data for ever.
    if (from > now || statistics.pacing_rate <= 0) return;
    quic->paced_until = from + (uint64_t)((double)size / statistics.pacing_rate);
}

// MARK: The share

// BBR keeps up to two bandwidth-delay products under way, of which one waits in the queue before the narrowest link; there an
// urgent packet waits behind it, though it was first to leave here. So while urgent streams are in use, bulk ones keep no more
// under way than fills the path.

static const uint64_t URGENT_FOR = NGTCP2_SECONDS;
/// What bulk streams keep under way beyond that, so that the path does not run dry between two acknowledgements.
static const uint64_t SPARE = NGTCP2_MILLISECONDS / 2;
/// Never less than half, for on a path with much jitter packets wait in every round trip.
static const double FIT_MIN = 0.5, FIT_GROWTH = 1.02;

void share_note_urgent(troupe_quic *quic) { quic->urgent_until = troupe_now() + URGENT_FOR; }

/// At its start BBR looks for what the path carries; held back then, it would find no more than that. It does not tell its state, but
/// nowhere else is its pace so far above the rate.
static bool is_starting(const ngtcp2_conn_stat *statistics) {
    return statistics->pacing_rate * NGTCP2_SECONDS > 2 * (double)statistics->delivery_rate_sec;
}

/// Acknowledgements that come together make the rate look higher than it is, and ngtcp2 keeps the highest for as long as less is
/// sent than could be. Where even the shortest of two round trips' worth has waited, it was too high.
static double fit_of_rate(troupe_quic *quic, const ngtcp2_conn_stat *statistics, uint64_t now) {
    quic->round_min = MIN(quic->round_min, statistics->latest_rtt);
    if (now - quic->round_since > 2 * statistics->smoothed_rtt) {
        double aim = (double)(statistics->min_rtt + SPARE) / (double)quic->round_min;
        quic->fit = CLAMP(quic->fit * MIN(aim, FIT_GROWTH), FIT_MIN, 1);
        quic->round_min = UINT64_MAX;
        quic->round_since = now;
    }
    return quic->fit;
}

uint64_t share_bulk_room(troupe_quic *quic, uint64_t now) {
    ngtcp2_conn_stat statistics;
    ngtcp2_conn_get_conn_stat(quic->connection, &statistics);
    if (now >= quic->urgent_until || statistics.min_rtt == UINT64_MAX || is_starting(&statistics)) {
        quic->fit = 1;
        return UINT64_MAX;
    }
    double fill = (double)statistics.delivery_rate_sec * (double)(statistics.min_rtt + SPARE) / NGTCP2_SECONDS;
    uint64_t most = MAX((uint64_t)(fill * fit_of_rate(quic, &statistics, now)), 16 * statistics.max_tx_udp_payload_size);
    return most > statistics.bytes_in_flight ? most - statistics.bytes_in_flight : 0;
}
