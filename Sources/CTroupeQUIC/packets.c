// Datagrams in and out, and when.
#define _GNU_SOURCE
#include "quic.h"
#include <arpa/inet.h>
#include <glib-unix.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    /// What every path carries (RFC 9000 §14), and what is tried: with what UDP, IP and TURN add it stays below 1 500 bytes.
    DATAGRAM_MIN = 1200,
    DATAGRAM_MAX = 1406,
    /// Acknowledgements go out at the latest after so many datagrams.
    RECEIVED_PER_FLUSH = 16,
    VECTORS = 8,
};

/// Without anything acknowledged for so long, packets become small.
static const uint64_t NARROW_AFTER = 2 * NGTCP2_SECONDS;

// MARK: The timer

// A timer of GLib has a grain of a millisecond, in which BBR's pacing would lose most of a fast link.

static gboolean dispatch_timer(GSource *source, GSourceFunc function, gpointer user) {
    (void)source, (void)function;
    troupe_quic *quic = *(troupe_quic **)user;
    uint64_t count;
    if (read(quic->timer_file, &count, sizeof count) < 0) return G_SOURCE_CONTINUE;
    quic->timer_at = UINT64_MAX;
    if (quic->connection != NULL && !quic->over) {
        int error = ngtcp2_conn_handle_expiry(quic->connection, troupe_now());
        if (error != 0) quic_fail(quic, error);
        quic_send(quic);
    }
    quic_tell(quic);
    return G_SOURCE_CONTINUE;
}

static gboolean never_called(gpointer user) {
    (void)user;
    return G_SOURCE_CONTINUE;
}

bool quic_start_timer(troupe_quic *quic) {
    static GSourceFuncs functions = {.dispatch = dispatch_timer};
    quic->timer_at = UINT64_MAX;
    quic->timer_file = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (quic->timer_file < 0) return false;
    quic->timer = g_source_new(&functions, sizeof(GSource));
    g_source_set_callback(quic->timer, never_called, g_memdup2(&quic, sizeof quic), g_free);
    g_source_add_unix_fd(quic->timer, quic->timer_file, G_IO_IN);
    g_source_attach(quic->timer, troupe_loop_context());
    return true;
}

static void set_timer(troupe_quic *quic, uint64_t now) {
    uint64_t at = quic->over ? UINT64_MAX : ngtcp2_conn_get_expiry(quic->connection);
    // ngtcp2's own time for the next packets is early by design, and forgotten when anything else expires shortly before.
    bool waiting = !g_queue_is_empty(&quic->ready[0]) || !g_queue_is_empty(&quic->ready[1]);
    if (waiting && quic->paced_until > now) at = MIN(at, quic->paced_until);
    if (at == quic->timer_at) return;
    quic->timer_at = at;
    struct itimerspec when = {0};
    if (at != UINT64_MAX) {
        uint64_t moment = MAX(at, 1);
        when.it_value = (struct timespec){.tv_sec = (time_t)(moment / NGTCP2_SECONDS), .tv_nsec = (long)(moment % NGTCP2_SECONDS)};
    }
    timerfd_settime(quic->timer_file, TFD_TIMER_ABSTIME, &when, NULL);
}

// MARK: The connection

/// ICE chooses and changes the path below QUIC, for which it is one path between two names.
static void name_path(ngtcp2_path_storage *path) {
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct sockaddr_in remote = {.sin_family = AF_INET, .sin_port = htons(2)};
    ngtcp2_path_storage_init(
        path, (ngtcp2_sockaddr *)&local, sizeof local, (ngtcp2_sockaddr *)&remote, sizeof remote, NULL);
}

static void set_up(troupe_quic *quic, ngtcp2_settings *settings, ngtcp2_transport_params *parameters) {
    const troupe_quic_configuration *configuration = &quic->configuration;
    ngtcp2_settings_default(settings);
    settings->cc_algo = NGTCP2_CC_ALGO_BBR;
    settings->initial_ts = troupe_now();
    // What is lost of the first flight is sent again after three of these.
    settings->initial_rtt = 100 * NGTCP2_MILLISECONDS;
    settings->max_tx_udp_payload_size = DATAGRAM_MAX;
    settings->handshake_timeout = configuration->handshake_ms * NGTCP2_MILLISECONDS;
    ngtcp2_transport_params_default(parameters);
    parameters->initial_max_stream_data_bidi_local = configuration->stream_window_initial;
    parameters->initial_max_stream_data_bidi_remote = configuration->stream_window_initial;
    // What arrives is credited at once: the windows of the streams are what bounds memory, so none can hold up another.
    parameters->initial_max_data = 4 * configuration->stream_window_max;
    parameters->initial_max_streams_bidi = configuration->streams_max;
    parameters->max_idle_timeout = configuration->idle_ms * NGTCP2_MILLISECONDS;
    parameters->max_udp_payload_size = 1500;
    parameters->active_connection_id_limit = 2;
    parameters->disable_active_migration = 1;
}

static void made(troupe_quic *quic) {
    ngtcp2_conn_set_tls_native_handle(quic->connection, quic->session);
    ngtcp2_conn_set_keep_alive_timeout(
        quic->connection, quic->configuration.keep_alive_ms * NGTCP2_MILLISECONDS);
}

static ngtcp2_cid random_id(size_t size) {
    ngtcp2_cid id = {.datalen = size};
    gnutls_rnd(GNUTLS_RND_RANDOM, id.data, size);
    return id;
}

bool quic_make_client(troupe_quic *quic) {
    ngtcp2_callbacks callbacks;
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    quic_set_callbacks(&callbacks);
    set_up(quic, &settings, &parameters);
    name_path(&quic->path);
    ngtcp2_cid source = random_id(8), destination = random_id(18);
    int error = ngtcp2_conn_client_new(
        &quic->connection, &destination, &source, &quic->path.path, NGTCP2_PROTO_VER_V1, &callbacks, &settings,
        &parameters, NULL, quic);
    if (error != 0) return false;
    made(quic);
    return true;
}

/// Makes the server's side when the first packet of a client is there; anything else is passed over.
static bool accept_client(troupe_quic *quic, const uint8_t *bytes, size_t size) {
    ngtcp2_pkt_hd head;
    if (quic->configuration.is_client || ngtcp2_accept(&head, bytes, size) != 0) return false;
    ngtcp2_callbacks callbacks;
    ngtcp2_settings settings;
    ngtcp2_transport_params parameters;
    quic_set_callbacks(&callbacks);
    set_up(quic, &settings, &parameters);
    parameters.original_dcid = head.dcid;
    name_path(&quic->path);
    ngtcp2_cid source = random_id(8);
    int error = ngtcp2_conn_server_new(
        &quic->connection, &head.scid, &source, &quic->path.path, head.version, &callbacks, &settings, &parameters, NULL,
        quic);
    if (error != 0) return false;
    made(quic);
    return true;
}

// MARK: In

void quic_receive(void *context, const uint8_t *bytes, size_t size) {
    troupe_quic *quic = context;
    if (quic->over || (quic->connection == NULL && !accept_client(quic, bytes, size))) return;
    ngtcp2_pkt_info information = {0};
    int error = ngtcp2_conn_read_pkt(quic->connection, &quic->path.path, &information, bytes, size, troupe_now());
    if (error != 0 && error != NGTCP2_ERR_DISCARD_PKT) quic_fail(quic, error);
    if (++quic->received_since_flush >= RECEIVED_PER_FLUSH) {
        quic_send(quic);
        quic_tell(quic);
    } else {
        quic_flush_soon(quic);
    }
}

// MARK: Out

static stream *next_to_send(troupe_quic *quic, bool may_be_bulk) {
    stream *urgent = g_queue_peek_head(&quic->ready[0]);
    if (urgent != NULL || !may_be_bulk) return urgent;
    return g_queue_peek_head(&quic->ready[1]);
}

static void take_off(troupe_quic *quic, stream *stream) {
    g_queue_remove(&quic->ready[stream->urgency], stream);
    stream->queued = false;
}

/// Whether to go on with another packet after ngtcp2 has refused to take bytes of this stream.
static bool pass_over(troupe_quic *quic, stream *stream, ngtcp2_ssize error, bool *connection_full) {
    switch (error) {
    case NGTCP2_ERR_STREAM_DATA_BLOCKED:
        // Either the stream's window is full, which will be said when it opens, or the connection's.
        if (ngtcp2_conn_get_max_data_left(quic->connection) == 0) *connection_full = true;
        else stream->window_full = true, take_off(quic, stream);
        return true;
    case NGTCP2_ERR_STREAM_SHUT_WR:
    case NGTCP2_ERR_STREAM_NOT_FOUND:
        stream->write_over = true;
        take_off(quic, stream);
        return true;
    default: quic_fail(quic, (int)error); return false;
    }
}

/// Sends one packet; false when there is nothing more to send now.
static bool send_packet(troupe_quic *quic, uint64_t now, uint64_t bulk_room, size_t *sent, bool *connection_full) {
    uint8_t packet[DATAGRAM_MAX];
    ngtcp2_vec vectors[VECTORS];
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    stream *stream = *connection_full ? NULL : next_to_send(quic, *sent < bulk_room);
    size_t count = stream == NULL ? 0 : stream_vectors(stream, vectors, VECTORS);
    uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
    if (stream != NULL && stream->finishing) {
        size_t offered = 0;
        for (size_t at = 0; at < count; at++) offered += vectors[at].len;
        if (offered == stream->unsent_size) flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
    }
    ngtcp2_ssize taken = -1;
    ngtcp2_pkt_info information;
    ngtcp2_ssize size = ngtcp2_conn_writev_stream(
        quic->connection, &path.path, &information, packet, quic->is_narrow ? DATAGRAM_MIN : sizeof packet, &taken, flags,
        stream == NULL ? -1 : stream->id, vectors, count, now);
    if (size < 0) {
        if (stream == NULL) {
            quic_fail(quic, (int)size);
            return false;
        }
        return pass_over(quic, stream, size, connection_full);
    }
    if (stream != NULL && taken >= 0) {
        bool last = (flags & NGTCP2_WRITE_STREAM_FLAG_FIN) != 0 && (size_t)taken == stream->unsent_size;
        stream_sent(stream, (size_t)taken);
        stream->finish_sent |= last;
        take_off(quic, stream);
        // To the end of its row, so that streams of one urgency share.
        if (stream_has_work(stream)) stream_queue(quic, stream);
    }
    if (size == 0) return false;
    troupe_ice_send(quic->ice, packet, (size_t)size);
    *sent += (size_t)size;
    return true;
}

/// A path may become narrower without a word, as when a tunnel takes over: then large packets are lost, however often they
/// are sent, and small ones come through. ngtcp2 looks for what a path carries only at its beginning.
static void look_for_narrowing(troupe_quic *quic, uint64_t now) {
    ngtcp2_conn_stat statistics;
    ngtcp2_conn_get_conn_stat(quic->connection, &statistics);
    if (statistics.bytes_in_flight == 0) quic->progress_at = now;
    else if (now > quic->progress_at + NARROW_AFTER) quic->is_narrow = true;
}

void quic_send(troupe_quic *quic) {
    quic->received_since_flush = 0;
    if (quic->connection == NULL || quic->over) return;
    uint64_t now = troupe_now();
    look_for_narrowing(quic, now);
    size_t room = pace_room(quic, now), sent = 0;
    uint64_t bulk_room = share_bulk_room(quic, now);
    bool connection_full = false;
    while (sent < room && !quic->over && send_packet(quic, now, bulk_room, &sent, &connection_full)) {}
    if (quic->over) return;
    if (sent > 0) pace_note_sent(quic, sent, now);
    set_timer(quic, now);
}

void quic_send_close(troupe_quic *quic, const ngtcp2_connection_close_error *error) {
    uint8_t packet[DATAGRAM_MAX];
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_pkt_info information;
    ngtcp2_ssize size = ngtcp2_conn_write_connection_close(
        quic->connection, &path.path, &information, packet, sizeof packet, error, troupe_now());
    if (size > 0) troupe_ice_send(quic->ice, packet, (size_t)size);
}
