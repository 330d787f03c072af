// A QUIC connection and its streams, between quic.c, packets.c, streams.c and tls.c.
#pragma once
#include "internal.h"
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

/// A piece of a stream's bytes. It never moves, since ngtcp2 refers to it until it is acknowledged.
typedef struct chunk {
    struct chunk *next;
    size_t capacity, used;
    /// How much of it was read, or given to the network.
    size_t taken;
    uint8_t bytes[];
} chunk;

typedef struct {
    chunk *first, *last;
    size_t size;
} chunks;

typedef enum { URGENCIES = 2 } urgency_count;

typedef struct stream {
    int64_t id;
    bool local, announced, refused;
    uint8_t urgency;

    /// What is not acknowledged; `unsent` is the piece with the first byte that was not sent.
    chunks outgoing;
    chunk *unsent;
    size_t unsent_size;
    /// Offsets in the stream: of what was acknowledged, and of the first piece.
    uint64_t acknowledged, first_offset;
    bool finishing, finish_sent, write_over, window_full, queued, wants_writable;

    chunks incoming;
    bool incoming_ended, read_over;
    /// The window now, what was read since it was last moved, and when that was.
    size_t window, credit;
    uint64_t credit_since;

    /// ngtcp2 knows it no more; our caller knows it no more; the other side gave it up.
    bool closed, forgotten, reset;
    unsigned changes;
    bool in_changed;
} stream;

struct troupe_quic {
    troupe_ice *ice;
    troupe_quic_callbacks callbacks;
    troupe_quic_configuration configuration;
    uint8_t *peer_key_info;

    ngtcp2_conn *connection;
    ngtcp2_crypto_conn_ref reference;
    ngtcp2_path_storage path;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;

    GSource *flush, *timer;
    int timer_file;
    uint64_t timer_at;
    unsigned received_since_flush;

    /// When bytes of a stream were acknowledged last, or nothing was under way; and whether packets are kept small since.
    uint64_t progress_at;
    bool is_narrow;

    /// Until when bulk streams keep the path's queues short for urgent ones.
    uint64_t urgent_until;
    /// How much of the measured rate they use, and the shortest round trip since that was looked at.
    double fit;
    uint64_t round_min, round_since;
    /// When all that was sent will have left at BBR's pace.
    uint64_t paced_until;

    GHashTable *streams;
    /// Streams with bytes to send, and streams with changes to tell.
    GQueue ready[URGENCIES];
    GQueue changed;
    size_t buffered, window_growth;

    bool established, told_established, streams_allowed, peer_key_wrong;
    /// Over: `end` is to be told, or was. Freed: nothing is to be told.
    bool over, told_over, freed;
    troupe_quic_end end;
    char detail[160];
};

// quic.c
void quic_end(troupe_quic *quic, troupe_quic_end end, const char *detail);
/// Ends the connection for this error of ngtcp2.
void quic_fail(troupe_quic *quic, int error);
/// Tells what has happened, outside of ngtcp2's callbacks.
void quic_tell(troupe_quic *quic);
void quic_flush_soon(troupe_quic *quic);
void quic_set_callbacks(ngtcp2_callbacks *callbacks);

// packets.c
bool quic_start_timer(troupe_quic *quic);
void quic_receive(void *context, const uint8_t *bytes, size_t size);
void quic_send(troupe_quic *quic);
void quic_send_close(troupe_quic *quic, const ngtcp2_connection_close_error *error);
bool quic_make_client(troupe_quic *quic);

// share.c
/// How many bytes may leave in one go when their time has come.
size_t pace_room(const troupe_quic *quic, uint64_t now);
/// Notes that so many bytes have left.
void pace_note_sent(troupe_quic *quic, size_t size, uint64_t now);
/// Notes that an urgent stream is in use.
void share_note_urgent(troupe_quic *quic);
/// How many bytes bulk streams may send now.
uint64_t share_bulk_room(troupe_quic *quic, uint64_t now);

// streams.c
stream *stream_of(troupe_quic *quic, int64_t id);
void streams_set_callbacks(ngtcp2_callbacks *callbacks);
/// Up to `count` pieces of what is to be sent next.
size_t stream_vectors(const stream *stream, ngtcp2_vec *vectors, size_t count);
void stream_sent(stream *stream, size_t size);
void stream_queue(troupe_quic *quic, stream *stream);
bool stream_has_work(const stream *stream);
void stream_changed(troupe_quic *quic, stream *stream, unsigned changes);
void stream_collect(troupe_quic *quic, stream *stream);
void stream_free(gpointer stream);

// chunks.c
void chunks_append(chunks *chunks, const uint8_t *bytes, size_t size);
void chunks_drop_first(chunks *chunks);
void chunks_clear(chunks *chunks);

// tls.c
bool tls_make(troupe_quic *quic);
void tls_free(troupe_quic *quic);
