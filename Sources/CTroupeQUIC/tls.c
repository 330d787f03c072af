// TLS 1.3 for QUIC: both sides show a certificate, and only the key in it counts.
#include "quic.h"
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

static const char protocol[] = "troupe-peer/1";
static const char priorities[] =
    "%DISABLE_TLS13_COMPAT_MODE:NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519";

static ngtcp2_conn *connection_of(ngtcp2_crypto_conn_ref *reference) {
    return ((troupe_quic *)reference->user_data)->connection;
}

static bool holds_key(const gnutls_datum_t *certificate, const uint8_t *expected, size_t size) {
    gnutls_x509_crt_t parsed = NULL;
    gnutls_pubkey_t key = NULL;
    gnutls_datum_t info = {NULL, 0};
    bool same = gnutls_x509_crt_init(&parsed) == 0
        && gnutls_x509_crt_import(parsed, certificate, GNUTLS_X509_FMT_DER) == 0 && gnutls_pubkey_init(&key) == 0
        && gnutls_pubkey_import_x509(key, parsed, 0) == 0
        && gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &info) == 0 && info.size == size
        && memcmp(info.data, expected, size) == 0;
    gnutls_free(info.data);
    if (key != NULL) gnutls_pubkey_deinit(key);
    if (parsed != NULL) gnutls_x509_crt_deinit(parsed);
    return same;
}

/// Nobody vouches for a certificate, and its dates mean nothing: that it was shown proves that the other side has the key.
static int verify_peer(gnutls_session_t session) {
    ngtcp2_crypto_conn_ref *reference = gnutls_session_get_ptr(session);
    troupe_quic *quic = reference->user_data;
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    bool right = shown != NULL && count >= 1
        && holds_key(&shown[0], quic->peer_key_info, quic->configuration.peer_key_info_size);
    quic->peer_key_wrong = !right;
    return right ? 0 : -1;
}

static bool load_certificate(troupe_quic *quic) {
    const troupe_quic_configuration *configuration = &quic->configuration;
    gnutls_datum_t certificate = {(unsigned char *)configuration->certificate, (unsigned)configuration->certificate_size};
    gnutls_datum_t key = {(unsigned char *)configuration->private_key, (unsigned)configuration->private_key_size};
    if (gnutls_certificate_allocate_credentials(&quic->credentials) != 0) return false;
    gnutls_certificate_set_verify_function(quic->credentials, verify_peer);
    return gnutls_certificate_set_x509_key_mem2(
               quic->credentials, &certificate, &key, GNUTLS_X509_FMT_DER, NULL, 0)
        >= 0;
}

bool tls_make(troupe_quic *quic) {
    bool is_client = quic->configuration.is_client;
    if (!load_certificate(quic)) return false;
    // A ticket would let a later connection begin without the proof of a key.
    unsigned flags = (is_client ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_TICKETS;
    if (gnutls_init(&quic->session, flags) != 0) {
        quic->session = NULL;
        return false;
    }
    if (gnutls_priority_set_direct(quic->session, priorities, NULL) != 0) return false;
    if (is_client) {
        if (ngtcp2_crypto_gnutls_configure_client_session(quic->session) != 0) return false;
    } else {
        if (ngtcp2_crypto_gnutls_configure_server_session(quic->session) != 0) return false;
        gnutls_certificate_server_set_request(quic->session, GNUTLS_CERT_REQUIRE);
    }
    quic->reference = (ngtcp2_crypto_conn_ref){.get_conn = connection_of, .user_data = quic};
    gnutls_session_set_ptr(quic->session, &quic->reference);
    gnutls_datum_t name = {(unsigned char *)protocol, sizeof protocol - 1};
    return gnutls_credentials_set(quic->session, GNUTLS_CRD_CERTIFICATE, quic->credentials) == 0
        && gnutls_alpn_set_protocols(quic->session, &name, 1, GNUTLS_ALPN_MANDATORY) == 0;
}

void tls_free(troupe_quic *quic) {
    if (quic->session != NULL) gnutls_deinit(quic->session);
    if (quic->credentials != NULL) gnutls_certificate_free_credentials(quic->credentials);
    quic->session = NULL;
    quic->credentials = NULL;
}
