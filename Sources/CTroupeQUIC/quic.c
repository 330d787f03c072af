// The life of a connection: made, established, over, freed.
#include "quic.h"
#include <gnutls/crypto.h>
#include <string.h>
#include <unistd.h>

void quic_end(troupe_quic *quic, troupe_quic_end end, const char *detail) {
    if (quic->over) return;
    quic->over = true;
    quic->end = end;
    g_strlcpy(quic->detail, detail, sizeof quic->detail);
    quic_flush_soon(quic);
}

static void end_as_peer_said(troupe_quic *quic) {
    ngtcp2_connection_close_error error;
    ngtcp2_conn_get_connection_close_error(quic->connection, &error);
    bool of_transport = error.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_TRANSPORT;
    // RFC 9001 §4.8: an alert of TLS is the error 0x100 + its number.
    if (of_transport && error.error_code >= 0x100 && error.error_code < 0x200) {
        char detail[64];
        g_snprintf(detail, sizeof detail, "TLS alert %u", (unsigned)(error.error_code - 0x100));
        quic_end(quic, TROUPE_QUIC_REFUSED_BY_PEER, detail);
    } else if (of_transport && error.error_code != 0) {
        char detail[64];
        g_snprintf(detail, sizeof detail, "QUIC error %llu", (unsigned long long)error.error_code);
        quic_end(quic, TROUPE_QUIC_BROKEN, detail);
    } else {
        quic_end(quic, TROUPE_QUIC_CLOSED_BY_PEER, "closed by the other side");
    }
}

void quic_fail(troupe_quic *quic, int error) {
    switch (error) {
    case NGTCP2_ERR_DRAINING: end_as_peer_said(quic); return;
    case NGTCP2_ERR_IDLE_CLOSE: quic_end(quic, TROUPE_QUIC_TIMED_OUT, "nothing was heard for the idle limit"); return;
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT: quic_end(quic, TROUPE_QUIC_TIMED_OUT, "the handshake took too long"); return;
    default: break;
    }
    if (quic->over) return;
    ngtcp2_connection_close_error ours;
    ngtcp2_connection_close_error_default(&ours);
    if (error == NGTCP2_ERR_CRYPTO) {
        ngtcp2_connection_close_error_set_transport_error_tls_alert(
            &ours, ngtcp2_conn_get_tls_alert(quic->connection), NULL, 0);
    } else {
        ngtcp2_connection_close_error_set_transport_error_liberr(&ours, error, NULL, 0);
    }
    quic_send_close(quic, &ours);
    if (quic->peer_key_wrong) quic_end(quic, TROUPE_QUIC_PEER_REFUSED, "it shows another key than was expected");
    else quic_end(quic, error == NGTCP2_ERR_CRYPTO ? TROUPE_QUIC_PEER_REFUSED : TROUPE_QUIC_BROKEN, ngtcp2_strerror(error));
}

static void tell_changes(troupe_quic *quic) {
    // What a caller's answer brings about waits for the next time, so that this ends.
    for (guint left = g_queue_get_length(&quic->changed); left > 0 && !quic->freed; left--) {
        stream *stream = g_queue_pop_head(&quic->changed);
        stream->in_changed = false;
        unsigned changes = stream->changes;
        stream->changes = 0;
        int64_t id = stream->id;
        if (stream->refused) {
            stream->announced = true;
            troupe_quic_forget(quic, id);
            continue;
        }
        if (!stream->announced) {
            stream->announced = true;
            quic->callbacks.stream_opened(quic->callbacks.context, id, stream->urgency);
        } else if (changes != 0) {
            quic->callbacks.stream_changed(quic->callbacks.context, id, changes);
        }
    }
    if (!quic->freed && !g_queue_is_empty(&quic->changed)) quic_flush_soon(quic);
}

void quic_tell(troupe_quic *quic) {
    if (quic->freed) return;
    if (quic->established && !quic->told_established && !quic->over) {
        quic->told_established = true;
        quic->callbacks.established(quic->callbacks.context);
    }
    if (quic->streams_allowed && !quic->freed) {
        quic->streams_allowed = false;
        quic->callbacks.streams_allowed(quic->callbacks.context);
    }
    if (!quic->over) tell_changes(quic);
    if (quic->over && !quic->told_over && !quic->freed) {
        quic->told_over = true;
        quic->callbacks.ended(quic->callbacks.context, quic->end, quic->detail);
    }
}

void quic_flush_soon(troupe_quic *quic) {
    if (!quic->freed) g_source_set_ready_time(quic->flush, 0);
}

static void flush(void *context) {
    troupe_quic *quic = context;
    quic_send(quic);
    quic_tell(quic);
}

// MARK: Callbacks of ngtcp2

static int on_handshake(ngtcp2_conn *connection, void *user) {
    (void)connection;
    troupe_quic *quic = user;
    // A client knows that it was accepted only when the server confirms.
    if (!quic->configuration.is_client) quic->established = true;
    return 0;
}

static int on_confirmed(ngtcp2_conn *connection, void *user) {
    (void)connection;
    ((troupe_quic *)user)->established = true;
    return 0;
}

static int on_streams_allowed(ngtcp2_conn *connection, uint64_t streams_max, void *user) {
    (void)connection, (void)streams_max;
    ((troupe_quic *)user)->streams_allowed = true;
    return 0;
}

static void random_bytes(uint8_t *bytes, size_t size, const ngtcp2_rand_ctx *context) {
    (void)context;
    gnutls_rnd(GNUTLS_RND_RANDOM, bytes, size);
}

static int new_connection_id(ngtcp2_conn *connection, ngtcp2_cid *id, uint8_t *token, size_t size, void *user) {
    (void)connection, (void)user;
    id->datalen = size;
    if (gnutls_rnd(GNUTLS_RND_RANDOM, id->data, size) != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
    return gnutls_rnd(GNUTLS_RND_RANDOM, token, NGTCP2_STATELESS_RESET_TOKENLEN) == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

void quic_set_callbacks(ngtcp2_callbacks *callbacks) {
    *callbacks = (ngtcp2_callbacks){
        .client_initial = ngtcp2_crypto_client_initial_cb,
        .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .handshake_completed = on_handshake,
        .handshake_confirmed = on_confirmed,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .extend_max_local_streams_bidi = on_streams_allowed,
        .rand = random_bytes,
        .get_new_connection_id = new_connection_id,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    };
    streams_set_callbacks(callbacks);
}

// MARK: Made and freed

static void free_at_last(void *context) {
    troupe_quic *quic = context;
    if (quic->connection != NULL) ngtcp2_conn_del(quic->connection);
    tls_free(quic);
    for (int urgency = 0; urgency < URGENCIES; urgency++) g_queue_clear(&quic->ready[urgency]);
    g_queue_clear(&quic->changed);
    g_hash_table_destroy(quic->streams);
    g_free(quic->peer_key_info);
    g_free(quic);
}

static void destroy_source(GSource **source) {
    if (*source == NULL) return;
    g_source_destroy(*source);
    g_source_unref(*source);
    *source = NULL;
}

void troupe_quic_free(troupe_quic *quic) {
    if (quic->freed) return;
    if (!quic->over && quic->connection != NULL) {
        ngtcp2_connection_close_error ours;
        ngtcp2_connection_close_error_default(&ours);
        ngtcp2_connection_close_error_set_application_error(&ours, 0, NULL, 0);
        quic_send_close(quic, &ours);
    }
    quic->over = quic->freed = true;
    troupe_ice_set_receiver(quic->ice, NULL, NULL);
    destroy_source(&quic->flush);
    destroy_source(&quic->timer);
    if (quic->timer_file >= 0) close(quic->timer_file);
    troupe_loop_post(free_at_last, quic);
}

troupe_quic *troupe_quic_new(
    troupe_ice *ice, const troupe_quic_configuration *configuration, const troupe_quic_callbacks *callbacks) {
    troupe_quic *quic = g_new0(troupe_quic, 1);
    quic->ice = ice;
    quic->callbacks = *callbacks;
    quic->configuration = *configuration;
    quic->peer_key_info = g_memdup2(configuration->peer_key_info, configuration->peer_key_info_size);
    quic->streams = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, stream_free);
    for (int urgency = 0; urgency < URGENCIES; urgency++) g_queue_init(&quic->ready[urgency]);
    g_queue_init(&quic->changed);
    quic->flush = troupe_loop_trigger(flush, quic);
    bool made = quic_start_timer(quic) && tls_make(quic);
    // They are the caller's, and were needed for TLS alone.
    quic->configuration.certificate = quic->configuration.private_key = quic->configuration.peer_key_info = (const uint8_t *)"";
    if (!made || (configuration->is_client && !quic_make_client(quic))) {
        troupe_quic_free(quic);
        return NULL;
    }
    troupe_ice_set_receiver(ice, quic_receive, quic);
    quic_flush_soon(quic);
    return quic;
}

uint64_t troupe_quic_round_trip(troupe_quic *quic) {
    if (quic->connection == NULL) return 0;
    ngtcp2_conn_stat statistics;
    ngtcp2_conn_get_conn_stat(quic->connection, &statistics);
    return statistics.first_rtt_sample_ts == UINT64_MAX ? 0 : statistics.smoothed_rtt / NGTCP2_MICROSECONDS;
}
