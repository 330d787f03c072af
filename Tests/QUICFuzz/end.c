// An end of a connection, and a program that uses it as it pleases.
#include "fuzz.h"
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

// MARK: Who they are

identity make_identity(void) {
    identity made = {0};
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t certificate;
    gnutls_pubkey_t public;
    DEMAND(gnutls_x509_privkey_init(&key) == 0);
    DEMAND(gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 256, 0) == 0);
    DEMAND(gnutls_x509_crt_init(&certificate) == 0);
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, "\1", 1);
    gnutls_x509_crt_set_activation_time(certificate, 0);
    gnutls_x509_crt_set_expiration_time(certificate, 4000000000);
    gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, "end", 3);
    gnutls_x509_crt_set_key(certificate, key);
    DEMAND(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA512, 0) == 0);
    made.certificate_size = sizeof made.certificate;
    DEMAND(gnutls_x509_crt_export(certificate, GNUTLS_X509_FMT_DER, made.certificate, &made.certificate_size) == 0);
    made.key_size = sizeof made.key;
    DEMAND(gnutls_x509_privkey_export_pkcs8(
        key, GNUTLS_X509_FMT_DER, NULL, GNUTLS_PKCS_PLAIN, made.key, &made.key_size) == 0);
    DEMAND(gnutls_pubkey_init(&public) == 0 && gnutls_pubkey_import_x509(public, certificate, 0) == 0);
    made.info_size = sizeof made.info;
    DEMAND(gnutls_pubkey_export(public, GNUTLS_X509_FMT_DER, made.info, &made.info_size) == 0);
    gnutls_pubkey_deinit(public);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
    return made;
}

// MARK: What is told

static void established(void *user) { ((end *)user)->established = true; }

static void ended(void *user, troupe_quic_end how, const char *detail) {
    end *end = user;
    DEMAND(!end->ended && detail != NULL && how <= TROUPE_QUIC_BROKEN);
    end->ended = true;
}

static void know(end *end, int64_t stream) { g_array_append_val(end->streams, stream); }

static void stream_opened(void *user, int64_t stream, uint8_t urgency) {
    end *end = user;
    DEMAND(!end->ended && urgency < URGENCIES);
    end->opened++;
    know(end, stream);
}

static void read_some(end *end, int64_t stream) {
    // In memory of its own size, so that a write beyond it is found.
    size_t size = 1 + below(2000);
    uint8_t *into = g_malloc(size);
    int64_t count = troupe_quic_read(end->quic, stream, into, size);
    DEMAND(count <= (int64_t)size);
    if (count > 0) end->read += (size_t)count;
    g_free(into);
}

static void on_changed(void *user, int64_t stream, unsigned changes) {
    end *end = user;
    DEMAND(!end->ended && changes != 0);
    if (below(3) == 0) read_some(end, stream);
    if (below(40) == 0) end_act(end);
}

static void streams_allowed(void *user) { DEMAND(user != NULL); }

void end_open(end *end, bool is_client, const identity *own, const identity *peer) {
    troupe_quic_configuration configuration = {
        .is_client = is_client,
        .certificate = own->certificate,
        .certificate_size = own->certificate_size,
        .private_key = own->key,
        .private_key_size = own->key_size,
        .peer_key_info = peer->info,
        .peer_key_info_size = peer->info_size,
        .streams_max = 16,
        .handshake_ms = 5000,
        .idle_ms = 5000,
        .keep_alive_ms = 500,
        .stream_buffer_max = 64 << 10,
        .connection_buffer_max = 128 << 10,
        .stream_window_initial = 8 << 10,
        .stream_window_max = 32 << 10,
        .window_growth_max = 64 << 10,
    };
    troupe_quic_callbacks callbacks = {
        .context = end,
        .established = established,
        .ended = ended,
        .stream_opened = stream_opened,
        .stream_changed = on_changed,
        .streams_allowed = streams_allowed,
    };
    end->streams = g_array_new(FALSE, FALSE, sizeof(int64_t));
    end->quic = troupe_quic_new(&end->path, &configuration, &callbacks);
    DEMAND(end->quic != NULL);
}

// MARK: What it does

static void write_some(end *end, int64_t stream) {
    uint8_t bytes[3000];
    size_t size = 1 + below(sizeof bytes);
    fill(bytes, size);
    int64_t taken = troupe_quic_write(end->quic, stream, bytes, size);
    DEMAND(taken <= (int64_t)size);
}

void end_act(end *end) {
    if (below(12) == 0 && end->streams->len < 200) {
        int64_t opened = troupe_quic_open(end->quic, (uint8_t)below(3));
        if (opened >= 0) know(end, opened);
    }
    // Also one that nobody has heard of.
    guint place = (guint)below(end->streams->len + 1);
    bool is_known = place < end->streams->len;
    int64_t stream = is_known ? g_array_index(end->streams, int64_t, place) : (int64_t)below(1000);
    switch (below(14)) {
    case 0: case 1: case 2: write_some(end, stream); break;
    case 3: troupe_quic_finish(end->quic, stream); break;
    case 4: if (below(4) == 0) troupe_quic_reset(end->quic, stream); break;
    case 5:
        if (below(4) != 0) break;
        troupe_quic_forget(end->quic, stream);
        if (is_known) g_array_remove_index_fast(end->streams, place);
        break;
    case 6: troupe_quic_readable(end->quic, stream); break;
    case 7: troupe_quic_round_trip(end->quic); break;
    default: read_some(end, stream); break;
    }
}

// MARK: What must hold

void end_check(const end *end) {
    const troupe_quic *quic = end->quic;
    GHashTableIter iterator;
    gpointer value;
    size_t growth = 0, buffered = 0, of_peer = 0;
    g_hash_table_iter_init(&iterator, quic->streams);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const stream *stream = value;
        DEMAND(stream->window <= quic->configuration.stream_window_max);
        DEMAND(stream->incoming.size <= stream->window);
        DEMAND(stream->unsent_size <= stream->outgoing.size);
        growth += stream->window - quic->configuration.stream_window_initial;
        buffered += stream->outgoing.size;
        if (!stream->local) of_peer++;
    }
    DEMAND(of_peer <= quic->configuration.streams_max);
    DEMAND(growth == quic->window_growth && growth <= quic->configuration.window_growth_max);
    DEMAND(buffered == quic->buffered);
}

void end_close(end *end) {
    troupe_quic_free(end->quic);
    g_array_unref(end->streams);
}
