// ICE (libnice) and QUIC (ngtcp2, GnuTLS) as TroupeEndpoint uses them. No type of those libraries, nor of GLib, is seen here.
//
// One thread, "the loop", runs everything. Apart from troupe_loop_post and troupe_loop_is_current, every function may be called
// on that thread alone, and every callback is made on it. A callback may call any function of this header.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// MARK: The loop

/// Has the loop call `run(context)` soon; calls are made in the order in which they were posted. From any thread.
void troupe_loop_post(void (*run)(void *context), void *context);
bool troupe_loop_is_current(void);

// MARK: ICE

typedef struct troupe_ice troupe_ice;

typedef enum {
    TROUPE_ICE_WORKING = 0,
    /// A path is there; a better one may follow.
    TROUPE_ICE_CONNECTED = 1,
    /// No path was found, or the one that was there is dead.
    TROUPE_ICE_FAILED = 2,
} troupe_ice_state;

typedef enum {
    TROUPE_CANDIDATE_HOST = 0,
    TROUPE_CANDIDATE_SERVER_REFLEXIVE = 1,
    TROUPE_CANDIDATE_PEER_REFLEXIVE = 2,
    TROUPE_CANDIDATE_RELAYED = 3,
} troupe_candidate_type;

typedef struct {
    troupe_candidate_type local_type;
    troupe_candidate_type remote_type;
    char local_address[80];
    char remote_address[80];
} troupe_ice_pair;

typedef struct {
    bool controlling;
    /// Use nothing but relayed candidates.
    bool relay_only;
    /// A numeric address; NULL for none.
    const char *_Nullable stun_address;
    uint16_t stun_port;
} troupe_ice_configuration;

typedef struct {
    void *context;
    /// A local candidate, as a line of SDP.
    void (*candidate)(void *context, const char *line);
    /// There will be no more of them.
    void (*gathered)(void *context);
    void (*state)(void *context, troupe_ice_state state);
    /// Another pair has been selected.
    void (*pair)(void *context);
    /// Since a path is there, a datagram has come that is neither STUN nor from where the other side is. Of several that come
    /// at a time, one may be told.
    void (*stray)(void *context, const char *from);
} troupe_ice_callbacks;

troupe_ice *_Nullable troupe_ice_new(const troupe_ice_configuration *configuration, const troupe_ice_callbacks *callbacks);
/// Uses this numeric local address; without any call, all but link-local and loopback ones are used.
bool troupe_ice_add_local_address(troupe_ice *ice, const char *address);
bool troupe_ice_add_turn(
    troupe_ice *ice, const char *address, uint16_t port, const char *user, const char *password, bool over_tcp);
/// Begins. False when there is not one local address.
bool troupe_ice_gather(troupe_ice *ice);
bool troupe_ice_local_credentials(troupe_ice *ice, char user[_Nonnull 257], char password[_Nonnull 257]);
bool troupe_ice_set_remote_credentials(troupe_ice *ice, const char *user, const char *password);
/// False when the line is no candidate that can be used.
bool troupe_ice_add_remote_candidate(troupe_ice *ice, const char *line);
void troupe_ice_remote_candidates_done(troupe_ice *ice);
bool troupe_ice_selected_pair(troupe_ice *ice, troupe_ice_pair *pair);
/// No callback is made any more; what is held is given back soon after. A QUIC connection over it must be freed before.
void troupe_ice_free(troupe_ice *ice);

// MARK: QUIC

typedef struct troupe_quic troupe_quic;

typedef struct {
    bool is_client;
    const uint8_t *certificate;
    size_t certificate_size;
    const uint8_t *private_key;
    size_t private_key_size;
    /// The SubjectPublicKeyInfo that the other side's certificate must hold, to the byte.
    const uint8_t *peer_key_info;
    size_t peer_key_info_size;
    uint32_t streams_max;
    uint32_t handshake_ms;
    uint32_t idle_ms;
    uint32_t keep_alive_ms;
    /// Bytes written and not yet acknowledged, per stream and for the whole connection.
    size_t stream_buffer_max;
    size_t connection_buffer_max;
    /// Bytes the other side may send before they are read: at first, and for a reader that keeps up.
    size_t stream_window_initial;
    size_t stream_window_max;
    /// How much all windows together may grow beyond their beginnings.
    size_t window_growth_max;
} troupe_quic_configuration;

typedef enum {
    TROUPE_QUIC_CLOSED_BY_PEER = 0,
    /// Its certificate does not hold the key that was expected.
    TROUPE_QUIC_PEER_REFUSED = 1,
    /// The other side did not accept us, or spoke of another protocol.
    TROUPE_QUIC_REFUSED_BY_PEER = 2,
    TROUPE_QUIC_TIMED_OUT = 3,
    TROUPE_QUIC_BROKEN = 4,
} troupe_quic_end;

enum {
    TROUPE_STREAM_READABLE = 1,
    TROUPE_STREAM_WRITABLE = 2,
    /// The other side gave up the stream.
    TROUPE_STREAM_RESET = 4,
};

typedef struct {
    void *context;
    /// Both sides are proven.
    void (*established)(void *context);
    /// It is over; at most once, and the last callback of all.
    void (*ended)(void *context, troupe_quic_end end, const char *detail);
    void (*stream_opened)(void *context, int64_t stream, uint8_t urgency);
    void (*stream_changed)(void *context, int64_t stream, unsigned changes);
    /// More streams may be opened.
    void (*streams_allowed)(void *context);
} troupe_quic_callbacks;

/// A connection over a path of `ice`. NULL when certificate or key cannot be used.
troupe_quic *_Nullable troupe_quic_new(
    troupe_ice *ice, const troupe_quic_configuration *configuration, const troupe_quic_callbacks *callbacks);
/// The stream's id; -1 while the other side allows no more, -2 when the connection is over.
int64_t troupe_quic_open(troupe_quic *quic, uint8_t urgency);
/// How many of the bytes were taken, perhaps none while the buffer is full; -1 when this direction is over.
int64_t troupe_quic_write(troupe_quic *quic, int64_t stream, const uint8_t *bytes, size_t size);
/// Nothing more will be written.
void troupe_quic_finish(troupe_quic *quic, int64_t stream);
/// How many bytes were read; 0 when there are none yet, -1 at the end, -2 when the other side or this one has reset it.
int64_t troupe_quic_read(troupe_quic *quic, int64_t stream, uint8_t *into, size_t size_max);
/// How many bytes can be read at once.
size_t troupe_quic_readable(troupe_quic *quic, int64_t stream);
/// Gives up both directions.
void troupe_quic_reset(troupe_quic *quic, int64_t stream);
/// The id will not be used again; what is not over is reset.
void troupe_quic_forget(troupe_quic *quic, int64_t stream);
/// Microseconds of a round trip; 0 when not measured.
uint64_t troupe_quic_round_trip(troupe_quic *quic);
/// Tells the other side, if it still listens, and frees. No callback is made any more.
void troupe_quic_free(troupe_quic *quic);

#pragma clang assume_nonnull end
