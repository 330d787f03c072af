// Two ends of a QUIC connection in one process, with a path between them that this program is.
#pragma once
#include "quic.h"

// random.c
void seed_random(uint64_t seed);
uint64_t next_random(void);
/// Below `bound`, which is not 0.
uint64_t below(uint64_t bound);
void fill(uint8_t *bytes, size_t size);
/// Changes a few bytes.
void scramble(uint8_t *bytes, size_t size);

// path.c
typedef enum { INTACT, LOSSY, CHANGED, RANDOM } wire_kind;

struct troupe_ice {
    /// What this end sends goes there.
    troupe_ice *peer;
    wire_kind wire;
    void (*receive)(void *, const uint8_t *, size_t);
    void *context;
    GQueue arriving;
    bool is_delivering, is_gone;
};

void path_make(troupe_ice *a, troupe_ice *b);
/// Hands over what has arrived; afterwards nothing does any more.
void path_close(troupe_ice *ice);
void path_inject(troupe_ice *to, const uint8_t *bytes, size_t size);

// frames.c
typedef enum { HONEST, SCRAMBLED, INVENTED } frame_kind;
/// From now on the packets of this connection are changed before they are sealed, so that its peer takes them for genuine.
void frames_betray(troupe_quic *quic, frame_kind kind, bool also_handshake);
size_t betrayed_count(void);

// end.c
typedef struct {
    troupe_ice path;
    troupe_quic *quic;
    bool established, ended;
    size_t opened, read;
    /// Streams that this end knows.
    GArray *streams;
} end;

typedef struct {
    uint8_t certificate[1024], key[256], info[128];
    size_t certificate_size, key_size, info_size;
} identity;

identity make_identity(void);
void end_open(end *end, bool is_client, const identity *own, const identity *peer);
/// Something that a program might do.
void end_act(end *end);
/// Aborts when a bound does not hold.
void end_check(const end *end);
void end_close(end *end);

// bystander.c
void bystander_start(const identity *a, const identity *b);
/// Sends a little; nothing is asked of it but that it comes back right.
void bystander_ask(void);
bool bystander_is_answered(void);
void bystander_stop(void);

#define DEMAND(condition) \
    do { \
        if (!(condition)) { \
            g_printerr("%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)
