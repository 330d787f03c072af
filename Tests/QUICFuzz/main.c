// Feeds changed packets and frames to both ends of QUIC connections.
// usage: quic-fuzz FIRST-SEED COUNT      A seed says what is done; the order of packets is up to the machine as well.
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// What is done in one run, at the most.
enum { STEPS = 1500 };

static identity identities[2];
static end ends[2];
static uint64_t seed, seeds_left;
static size_t step_count, established_count, ended_count, opened_count, read_count;
static GMutex mutex;
static GCond finished;
static bool is_finished;

static void run_next(void *unused);
static void step(void *unused);

static void all_done(void *unused) {
    (void)unused;
    g_mutex_lock(&mutex);
    is_finished = true;
    g_cond_signal(&finished);
    g_mutex_unlock(&mutex);
}

/// What was freed is gone by now.
static void run_over(void *unused) {
    (void)unused;
    for (int side = 0; side < 2; side++) {
        established_count += ends[side].established;
        ended_count += ends[side].ended;
        opened_count += ends[side].opened;
        read_count += ends[side].read;
        path_close(&ends[side].path);
    }
    seed++;
    if (--seeds_left > 0) {
        run_next(ends);
        return;
    }
    bystander_stop();
    troupe_loop_post(all_done, ends);
}

static void close_ends(void) {
    frames_betray(NULL, HONEST, false);
    for (int side = 0; side < 2; side++) end_close(&ends[side]);
    // Behind what frees them, and behind what is still to be delivered.
    troupe_loop_post(run_over, ends);
}

static void wait_for_bystander(void *unused) {
    (void)unused;
    if (bystander_is_answered()) close_ends();
    else troupe_loop_post(wait_for_bystander, ends);
}

static void inject_noise(void) {
    uint8_t noise[1500];
    size_t size = 1 + below(sizeof noise);
    fill(noise, size);
    path_inject(&ends[below(2)].path, noise, size);
}

static void step(void *unused) {
    (void)unused;
    for (int side = 0; side < 2; side++) {
        if (!ends[side].ended) end_act(&ends[side]);
        end_check(&ends[side]);
    }
    if (ends[0].path.wire == RANDOM && below(4) == 0) inject_noise();
    if (step_count == STEPS / 2) bystander_ask();
    bool is_over = ends[0].ended && ends[1].ended && step_count > STEPS / 2;
    if (++step_count >= STEPS || is_over) wait_for_bystander(ends);
    else troupe_loop_post(step, ends);
}

static void run_next(void *unused) {
    (void)unused;
    seed_random(seed);
    step_count = 0;
    memset(ends, 0, sizeof ends);
    path_make(&ends[0].path, &ends[1].path);
    wire_kind wire = (wire_kind)below(4);
    frame_kind kind = (frame_kind)below(3);
    // One thing at a time gets further than all at once.
    if (below(3) != 0) {
        if (below(2) == 0) wire = INTACT;
        else kind = HONEST;
    }
    int traitor = (int)below(2);
    end_open(&ends[1], false, &identities[1], &identities[0]);
    end_open(&ends[0], true, &identities[0], &identities[1]);
    for (int side = 0; side < 2; side++) ends[side].path.wire = wire;
    frames_betray(ends[traitor].quic, kind, below(4) == 0);
    troupe_loop_post(step, ends);
}

static void start(void *unused) {
    for (int side = 0; side < 2; side++) identities[side] = make_identity();
    bystander_start(&identities[0], &identities[1]);
    run_next(unused);
}

int main(int count, char **words) {
    if (count != 3) {
        fprintf(stderr, "usage: quic-fuzz FIRST-SEED COUNT\n");
        return 2;
    }
    seed = strtoull(words[1], NULL, 10);
    seeds_left = strtoull(words[2], NULL, 10);
    if (seeds_left == 0) return 2;
    troupe_loop_post(start, ends);
    g_mutex_lock(&mutex);
    while (!is_finished) g_cond_wait(&finished, &mutex);
    g_mutex_unlock(&mutex);
    printf(
        "established %zu ended %zu opened %zu read %zu betrayed %zu\n", established_count, ended_count, opened_count,
        read_count, betrayed_count());
    return 0;
}
