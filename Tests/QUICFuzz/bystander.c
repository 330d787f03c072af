// An honest connection in the same process, which nothing that happens to others may disturb.
#include "fuzz.h"
#include <string.h>

enum { WORDS = 3000 };

static troupe_ice paths[2];
static troupe_quic *asking, *answering;
static bool is_established;
static int64_t question = -1;
static uint8_t asked[WORDS], answered[WORDS];
static size_t sent, got;

static void established(void *side) { if (side == &paths[0]) is_established = true; }

static void ended(void *side, troupe_quic_end how, const char *detail) {
    (void)side;
    g_printerr("the bystander's connection has ended: %d %s\n", how, detail);
    abort();
}

static void push(void) {
    if (question < 0 || sent >= sizeof asked) return;
    int64_t taken = troupe_quic_write(asking, question, asked + sent, sizeof asked - sent);
    DEMAND(taken >= 0);
    sent += (size_t)taken;
}

static void echo(int64_t id) {
    uint8_t bytes[512];
    int64_t count;
    while ((count = troupe_quic_read(answering, id, bytes, sizeof bytes)) > 0) {
        DEMAND(troupe_quic_write(answering, id, bytes, (size_t)count) == count);
    }
}

static void stream_opened(void *side, int64_t id, uint8_t urgency) {
    DEMAND(side == &paths[1] && urgency == 0);
    echo(id);
}

static void on_changed(void *side, int64_t id, unsigned changes) {
    DEMAND((changes & TROUPE_STREAM_RESET) == 0);
    if (side == &paths[1]) {
        echo(id);
        return;
    }
    push();
    int64_t count = troupe_quic_read(asking, id, answered + got, sizeof answered - got);
    DEMAND(count >= 0);
    got += (size_t)count;
}

static void streams_allowed(void *side) { DEMAND(side != NULL); }

static troupe_quic *make(int side, const identity *own, const identity *peer) {
    troupe_quic_configuration configuration = {
        .is_client = side == 0,
        .certificate = own->certificate,
        .certificate_size = own->certificate_size,
        .private_key = own->key,
        .private_key_size = own->key_size,
        .peer_key_info = peer->info,
        .peer_key_info_size = peer->info_size,
        .streams_max = 4,
        .handshake_ms = 60000,
        .idle_ms = 60000,
        .keep_alive_ms = 2000,
        .stream_buffer_max = 64 << 10,
        .connection_buffer_max = 128 << 10,
        .stream_window_initial = 64 << 10,
        .stream_window_max = 64 << 10,
        .window_growth_max = 64 << 10,
    };
    troupe_quic_callbacks callbacks = {
        .context = &paths[side],
        .established = established,
        .ended = ended,
        .stream_opened = stream_opened,
        .stream_changed = on_changed,
        .streams_allowed = streams_allowed,
    };
    troupe_quic *made = troupe_quic_new(&paths[side], &configuration, &callbacks);
    DEMAND(made != NULL);
    return made;
}

void bystander_start(const identity *a, const identity *b) {
    path_make(&paths[0], &paths[1]);
    answering = make(1, b, a);
    asking = make(0, a, b);
}

void bystander_ask(void) {
    if (question < 0 && is_established) question = troupe_quic_open(asking, 0);
    fill(asked, sizeof asked);
    sent = got = 0;
    push();
}

bool bystander_is_answered(void) {
    if (got < sizeof asked) return false;
    DEMAND(memcmp(asked, answered, sizeof asked) == 0);
    return true;
}

void bystander_stop(void) {
    troupe_quic_free(asking);
    troupe_quic_free(answering);
    path_close(&paths[0]);
    path_close(&paths[1]);
}
