// Streams: their buffers, their windows, and what is told of them.
#include "quic.h"
#include <string.h>

/// The error that goes with a stream that is given up.
enum { GIVEN_UP = 1 };

stream *stream_of(troupe_quic *quic, int64_t id) { return g_hash_table_lookup(quic->streams, &id); }

static stream *make_stream(troupe_quic *quic, int64_t id) {
    stream *made = g_new0(stream, 1);
    made->id = id;
    made->window = quic->configuration.stream_window_initial;
    made->credit_since = troupe_now();
    g_hash_table_insert(quic->streams, &made->id, made);
    return made;
}

void stream_free(gpointer user) {
    stream *stream = user;
    chunks_clear(&stream->outgoing);
    chunks_clear(&stream->incoming);
    g_free(stream);
}

void stream_changed(troupe_quic *quic, stream *stream, unsigned changes) {
    stream->changes |= changes;
    if (stream->in_changed || stream->forgotten) return;
    stream->in_changed = true;
    g_queue_push_tail(&quic->changed, stream);
    quic_flush_soon(quic);
}

void stream_collect(troupe_quic *quic, stream *stream) {
    if (!stream->closed || !stream->forgotten) return;
    quic->buffered -= stream->outgoing.size;
    quic->window_growth -= stream->window - quic->configuration.stream_window_initial;
    if (stream->queued) g_queue_remove(&quic->ready[stream->urgency], stream);
    if (stream->in_changed) g_queue_remove(&quic->changed, stream);
    // Only now may the other side open another one: until here this one held memory.
    if (!stream->local && !quic->over) ngtcp2_conn_extend_max_streams_bidi(quic->connection, 1);
    g_hash_table_remove(quic->streams, &stream->id);
    quic_flush_soon(quic);
}

// MARK: Sending

bool stream_has_work(const stream *stream) {
    return !stream->write_over && !stream->window_full
        && (stream->unsent_size > 0 || (stream->finishing && !stream->finish_sent));
}

void stream_queue(troupe_quic *quic, stream *stream) {
    if (stream->queued || !stream_has_work(stream)) return;
    stream->queued = true;
    g_queue_push_tail(&quic->ready[stream->urgency], stream);
}

size_t stream_vectors(const stream *stream, ngtcp2_vec *vectors, size_t count) {
    size_t used = 0;
    for (chunk *at = stream->unsent; at != NULL && used < count; at = at->next) {
        if (at->taken == at->used) continue;
        vectors[used++] = (ngtcp2_vec){.base = at->bytes + at->taken, .len = at->used - at->taken};
    }
    return used;
}

void stream_sent(stream *stream, size_t size) {
    stream->unsent_size -= size;
    while (size > 0) {
        chunk *at = stream->unsent;
        size_t part = MIN(size, at->used - at->taken);
        at->taken += part;
        size -= part;
        // The last piece stays: more may be appended to it.
        if (at->taken == at->used && at->next != NULL) stream->unsent = at->next;
        else if (size > 0) break;
    }
}

static void append(troupe_quic *quic, stream *stream, const uint8_t *bytes, size_t size) {
    chunks_append(&stream->outgoing, bytes, size);
    if (stream->unsent == NULL) stream->unsent = stream->outgoing.first;
    stream->unsent_size += size;
    quic->buffered += size;
}

static size_t room_of(const troupe_quic *quic, const stream *stream) {
    size_t own = stream->outgoing.size, own_max = quic->configuration.stream_buffer_max;
    size_t all_max = quic->configuration.connection_buffer_max;
    size_t room = own < own_max ? own_max - own : 0;
    // However much the others have written, each stream may have a little under way.
    size_t least = own < 65536 ? 65536 - own : 0;
    size_t left = quic->buffered < all_max ? all_max - quic->buffered : 0;
    return MIN(room, MAX(left, least));
}

int64_t troupe_quic_open(troupe_quic *quic, uint8_t urgency) {
    int64_t id = -1;
    if (quic->over || quic->connection == NULL) return -2;
    int error = ngtcp2_conn_open_bidi_stream(quic->connection, &id, NULL);
    if (error == NGTCP2_ERR_STREAM_ID_BLOCKED) return -1;
    if (error != 0) return -2;
    stream *stream = make_stream(quic, id);
    stream->local = stream->announced = true;
    stream->urgency = MIN(urgency, URGENCIES - 1);
    ngtcp2_conn_set_stream_user_data(quic->connection, id, stream);
    append(quic, stream, &stream->urgency, 1);
    stream_queue(quic, stream);
    quic_flush_soon(quic);
    return id;
}

int64_t troupe_quic_write(troupe_quic *quic, int64_t id, const uint8_t *bytes, size_t size) {
    stream *stream = stream_of(quic, id);
    if (stream == NULL || stream->write_over || stream->finishing || quic->over) return -1;
    size_t taken = MIN(size, room_of(quic, stream));
    if (taken < size) stream->wants_writable = true;
    if (taken == 0) return 0;
    if (stream->urgency == 0) share_note_urgent(quic);
    append(quic, stream, bytes, taken);
    stream_queue(quic, stream);
    quic_flush_soon(quic);
    return (int64_t)taken;
}

void troupe_quic_finish(troupe_quic *quic, int64_t id) {
    stream *stream = stream_of(quic, id);
    if (stream == NULL || stream->finishing || quic->over) return;
    stream->finishing = true;
    stream_queue(quic, stream);
    quic_flush_soon(quic);
}

// MARK: Receiving

/// A reader that empties a quarter of its window within a round trip could use a larger one.
static size_t growth_of(troupe_quic *quic, stream *stream, uint64_t now) {
    uint64_t soon = troupe_quic_round_trip(quic) * NGTCP2_MICROSECONDS + 2 * NGTCP2_MILLISECONDS;
    if (now - stream->credit_since > soon) return 0;
    size_t left = quic->configuration.window_growth_max - quic->window_growth;
    size_t growth = MIN(stream->window, quic->configuration.stream_window_max - stream->window);
    return MIN(growth, left);
}

static void credit(troupe_quic *quic, stream *stream, size_t size) {
    stream->credit += size;
    if (stream->closed || quic->over || stream->credit < stream->window / 4) return;
    uint64_t now = troupe_now();
    size_t growth = growth_of(quic, stream, now);
    ngtcp2_conn_extend_max_stream_offset(quic->connection, stream->id, stream->credit + growth);
    stream->window += growth;
    quic->window_growth += growth;
    stream->credit = 0;
    stream->credit_since = now;
    quic_flush_soon(quic);
}

int64_t troupe_quic_read(troupe_quic *quic, int64_t id, uint8_t *into, size_t size_max) {
    stream *stream = stream_of(quic, id);
    if (stream == NULL || stream->read_over) return -2;
    size_t count = 0;
    while (count < size_max && stream->incoming.size > 0) {
        chunk *first = stream->incoming.first;
        size_t part = MIN(size_max - count, first->used - first->taken);
        memcpy(into + count, first->bytes + first->taken, part);
        first->taken += part;
        stream->incoming.size -= part;
        count += part;
        if (first->taken == first->used) chunks_drop_first(&stream->incoming);
    }
    if (count > 0) {
        credit(quic, stream, count);
        return (int64_t)count;
    }
    if (stream->incoming_ended) return -1;
    return stream->reset || quic->over ? -2 : 0;
}

size_t troupe_quic_readable(troupe_quic *quic, int64_t id) {
    stream *stream = stream_of(quic, id);
    return stream == NULL || stream->read_over ? 0 : stream->incoming.size;
}

// MARK: Over

void troupe_quic_reset(troupe_quic *quic, int64_t id) {
    stream *stream = stream_of(quic, id);
    if (stream == NULL) return;
    stream->write_over = stream->read_over = true;
    if (stream->queued) g_queue_remove(&quic->ready[stream->urgency], stream);
    stream->queued = false;
    chunks_clear(&stream->incoming);
    if (!stream->closed && !quic->over) ngtcp2_conn_shutdown_stream(quic->connection, id, GIVEN_UP);
    quic_flush_soon(quic);
}

void troupe_quic_forget(troupe_quic *quic, int64_t id) {
    stream *stream = stream_of(quic, id);
    if (stream == NULL || stream->forgotten) return;
    stream->forgotten = true;
    if (stream->in_changed) g_queue_remove(&quic->changed, stream);
    stream->in_changed = false;
    // A side that was ended in order goes on: its last bytes may still be under way.
    bool read_done = stream->incoming_ended || stream->read_over;
    bool write_done = stream->finishing || stream->write_over;
    if (!stream->closed && !quic->over) {
        if (!read_done) ngtcp2_conn_shutdown_stream_read(quic->connection, id, GIVEN_UP);
        if (!write_done) {
            stream->write_over = true;
            ngtcp2_conn_shutdown_stream_write(quic->connection, id, GIVEN_UP);
        }
    }
    stream->read_over = true;
    chunks_clear(&stream->incoming);
    stream_collect(quic, stream);
    quic_flush_soon(quic);
}

// MARK: Callbacks of ngtcp2, in which nothing may be sent and nobody told

static int on_data(
    ngtcp2_conn *connection, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *bytes, size_t size, void *user,
    void *stream_user) {
    (void)offset, (void)stream_user;
    troupe_quic *quic = user;
    stream *stream = stream_of(quic, id);
    if (stream == NULL) stream = make_stream(quic, id);
    ngtcp2_conn_extend_max_offset(connection, size);
    if (!stream->announced && !stream->in_changed && size > 0) {
        // The first byte of a stream says how urgent it is.
        stream->refused = bytes[0] >= URGENCIES;
        stream->urgency = stream->refused ? 0 : bytes[0];
        bytes++, size--;
        stream_changed(quic, stream, 0);
        credit(quic, stream, 1);
    }
    if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) stream->incoming_ended = true;
    if (stream->urgency == 0 && size > 0) share_note_urgent(quic);
    if (!stream->read_over) {
        chunks_append(&stream->incoming, bytes, size);
        stream_changed(quic, stream, TROUPE_STREAM_READABLE);
    }
    return 0;
}

static int on_acknowledged(
    ngtcp2_conn *connection, int64_t id, uint64_t offset, uint64_t size, void *user, void *stream_user) {
    (void)connection, (void)stream_user;
    troupe_quic *quic = user;
    stream *stream = stream_of(quic, id);
    if (stream == NULL) return 0;
    quic->progress_at = troupe_now();
    uint64_t upto = offset + size;
    if (upto > stream->acknowledged) {
        size_t fresh = (size_t)(upto - stream->acknowledged);
        stream->acknowledged = upto;
        stream->outgoing.size -= fresh;
        quic->buffered -= fresh;
    }
    while (stream->outgoing.first != NULL && upto >= stream->first_offset + stream->outgoing.first->used) {
        chunk *first = stream->outgoing.first;
        stream->first_offset += first->used;
        if (stream->unsent == first) stream->unsent = first->next;
        chunks_drop_first(&stream->outgoing);
    }
    if (stream->wants_writable && room_of(quic, stream) >= MIN(65536, quic->configuration.stream_buffer_max / 4)) {
        stream->wants_writable = false;
        stream_changed(quic, stream, TROUPE_STREAM_WRITABLE);
    }
    return 0;
}

static int on_window(ngtcp2_conn *connection, int64_t id, uint64_t window, void *user, void *stream_user) {
    (void)connection, (void)window, (void)stream_user;
    troupe_quic *quic = user;
    stream *stream = stream_of(quic, id);
    if (stream == NULL) return 0;
    stream->window_full = false;
    stream_queue(quic, stream);
    return 0;
}

static void given_up(troupe_quic *quic, int64_t id) {
    stream *stream = stream_of(quic, id);
    if (stream == NULL) return;
    stream->reset = true;
    stream_changed(quic, stream, TROUPE_STREAM_RESET | TROUPE_STREAM_READABLE | TROUPE_STREAM_WRITABLE);
}

static int on_reset(
    ngtcp2_conn *connection, int64_t id, uint64_t size, uint64_t error, void *user, void *stream_user) {
    (void)connection, (void)size, (void)error, (void)stream_user;
    given_up(user, id);
    return 0;
}

static int on_closed(
    ngtcp2_conn *connection, uint32_t flags, int64_t id, uint64_t error, void *user, void *stream_user) {
    (void)connection, (void)error, (void)stream_user;
    troupe_quic *quic = user;
    stream *stream = stream_of(quic, id);
    if (stream == NULL) {
        // It was reset before its first byte, so nobody has heard of it.
        if (!ngtcp2_conn_is_local_stream(connection, id)) ngtcp2_conn_extend_max_streams_bidi(connection, 1);
        return 0;
    }
    stream->closed = stream->write_over = true;
    if ((flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0) given_up(quic, id);
    stream_collect(quic, stream);
    return 0;
}

void streams_set_callbacks(ngtcp2_callbacks *callbacks) {
    callbacks->recv_stream_data = on_data;
    callbacks->acked_stream_data_offset = on_acknowledged;
    callbacks->extend_max_stream_data = on_window;
    callbacks->stream_reset = on_reset;
    callbacks->stream_close = on_closed;
}
