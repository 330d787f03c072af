// A traitor's packets: changed or invented before they are encrypted, which only who has a key of a trusted site can do.
#include "fuzz.h"
#include <ngtcp2/ngtcp2_crypto.h>
#include <string.h>

static troupe_quic *traitor;
static frame_kind kind;
static bool also_handshake, is_writing;
static size_t count;
/// How far the traitor claims to have sent its streams, by number.
static uint64_t offsets[64];

void frames_betray(troupe_quic *quic, frame_kind how, bool in_handshake) {
    traitor = quic;
    kind = how;
    also_handshake = in_handshake;
    memset(offsets, 0, sizeof offsets);
}

size_t betrayed_count(void) { return count; }

// MARK: Frames

static uint8_t *put_number(uint8_t *at, uint64_t number) {
    if (number < 1u << 6) {
        *at++ = (uint8_t)number;
    } else if (number < 1u << 14) {
        *at++ = (uint8_t)(0x40 | number >> 8);
        *at++ = (uint8_t)number;
    } else {
        int size = number < 1u << 30 ? 4 : 8;
        for (int byte = size - 1; byte >= 0; byte--) at[size - 1 - byte] = (uint8_t)(number >> (8 * byte));
        at[0] |= size == 4 ? 0x80 : 0xC0;
        if (size == 8) at[0] = (uint8_t)(0xC0 | (at[0] & 0x3F));
        at += size;
    }
    return at;
}

/// Small ones, those at bounds, and any.
static uint64_t odd_number(void) {
    switch (below(5)) {
    case 0: return below(64);
    case 1: return below(1 << 20);
    case 2: return (UINT64_C(1) << 62) - 1 - below(3);
    case 3: return UINT64_C(1) << below(62);
    default: return next_random() & ((UINT64_C(1) << 62) - 1);
    }
}

/// Mostly one that the traitor may open, so that its connection lives on for a while.
static uint64_t stream_number(void) {
    if (below(300) == 0) return odd_number();
    if (below(100) == 0) return below(64);
    return 4 * below(12) + (traitor->configuration.is_client ? 0 : 1);
}

static uint8_t *put_stream(uint8_t *at, const uint8_t *limit) {
    uint64_t id = stream_number();
    uint64_t offset = id < 64 && below(40) != 0 ? offsets[id] : below(20) != 0 ? below(8000) : odd_number();
    size_t most = (size_t)(limit - at) - 20, size = below(MIN(most, 300));
    *at++ = (uint8_t)(0x0E | (below(30) == 0 ? 1 : 0));
    at = put_number(at, id);
    at = put_number(at, offset);
    at = put_number(at, size);
    fill(at, size);
    // The first byte says how urgent the stream is.
    if (size > 0 && offset == 0) at[0] = (uint8_t)(below(20) == 0 ? 2 : below(2));
    if (id < 64 && offset == offsets[id]) offsets[id] += size;
    return at + size;
}

static uint8_t *put_frame(uint8_t *at, const uint8_t *limit) {
    static const uint8_t kinds[] = {
        0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1E, 0x30,
    };
    if (below(60) != 0) return put_stream(at, limit);
    uint8_t type = below(40) == 0 ? (uint8_t)next_random() : kinds[below(sizeof kinds)];
    *at++ = type;
    switch (type) {
    case 0x1A: case 0x1B: fill(at, 8); return at + 8;
    case 0x1E: return at;
    case 0x04:
        at = put_number(at, stream_number());
        at = put_number(at, odd_number());
        return put_number(at, below(3) == 0 ? odd_number() : below(4096));
    case 0x05: case 0x11: case 0x15:
        at = put_number(at, stream_number());
        return put_number(at, odd_number());
    case 0x02: case 0x03:
        for (int field = 0; field < 4; field++) at = put_number(at, below(4) == 0 ? odd_number() : below(8));
        return at;
    default:
        // Any numbers; for most kinds the first two are enough.
        at = put_number(at, odd_number());
        return below(2) == 0 ? at : put_number(at, odd_number());
    }
}

static void invent(uint8_t *plain, size_t size) {
    uint8_t *at = plain;
    const uint8_t *limit = plain + size;
    while (limit - at > 64 && below(6) != 0) at = put_frame(at, limit);
    // The rest is padding.
    memset(at, 0, (size_t)(limit - at));
}

// MARK: In the place of ngtcp2's own

ngtcp2_ssize __real_ngtcp2_conn_writev_stream_versioned(
    ngtcp2_conn *, ngtcp2_path *, int, ngtcp2_pkt_info *, uint8_t *, size_t, ngtcp2_ssize *, uint32_t, int64_t,
    const ngtcp2_vec *, size_t, ngtcp2_tstamp);
ngtcp2_ssize __wrap_ngtcp2_conn_writev_stream_versioned(
    ngtcp2_conn *connection, ngtcp2_path *path, int version, ngtcp2_pkt_info *information, uint8_t *into, size_t size,
    ngtcp2_ssize *taken, uint32_t flags, int64_t stream, const ngtcp2_vec *vectors, size_t vector_count, ngtcp2_tstamp now);
int __real_ngtcp2_crypto_encrypt_cb(
    uint8_t *, const ngtcp2_crypto_aead *, const ngtcp2_crypto_aead_ctx *, const uint8_t *, size_t, const uint8_t *, size_t,
    const uint8_t *, size_t);
int __wrap_ngtcp2_crypto_encrypt_cb(
    uint8_t *into, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context, const uint8_t *plain, size_t size,
    const uint8_t *nonce, size_t nonce_size, const uint8_t *more, size_t more_size);

ngtcp2_ssize __wrap_ngtcp2_conn_writev_stream_versioned(
    ngtcp2_conn *connection, ngtcp2_path *path, int version, ngtcp2_pkt_info *information, uint8_t *into, size_t size,
    ngtcp2_ssize *taken, uint32_t flags, int64_t stream, const ngtcp2_vec *vectors, size_t vector_count, ngtcp2_tstamp now) {
    is_writing = traitor != NULL && kind != HONEST && traitor->connection == connection
        && (also_handshake || traitor->established);
    ngtcp2_ssize result = __real_ngtcp2_conn_writev_stream_versioned(
        connection, path, version, information, into, size, taken, flags, stream, vectors, vector_count, now);
    is_writing = false;
    return result;
}

int __wrap_ngtcp2_crypto_encrypt_cb(
    uint8_t *into, const ngtcp2_crypto_aead *aead, const ngtcp2_crypto_aead_ctx *context, const uint8_t *plain, size_t size,
    const uint8_t *nonce, size_t nonce_size, const uint8_t *more, size_t more_size) {
    if (is_writing && below(4) == 0) {
        // What is to be sealed lies in the place into which it is sealed.
        uint8_t *changed = g_memdup2(plain, size);
        if (kind == INVENTED && size > 64) invent(changed, size);
        else scramble(changed, size);
        count++;
        int result = __real_ngtcp2_crypto_encrypt_cb(
            into, aead, context, changed, size, nonce, nonce_size, more, more_size);
        g_free(changed);
        return result;
    }
    return __real_ngtcp2_crypto_encrypt_cb(into, aead, context, plain, size, nonce, nonce_size, more, more_size);
}
