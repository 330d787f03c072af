// One thread that runs a GLib main loop for all connections of the process.
#define _GNU_SOURCE
#include "internal.h"
#include <time.h>

struct post {
    void (*run)(void *);
    void *context;
    struct post *next;
};

static GMainContext *loop_context;
static GThread *loop_thread;
static GSource *post_source;
static GMutex post_mutex;
static struct post *post_first, *post_last;

static void run_posts(void *unused) {
    (void)unused;
    // What is posted from now on waits for the next turn of the loop, so that sockets get theirs.
    g_mutex_lock(&post_mutex);
    struct post *post = post_first;
    post_first = post_last = NULL;
    g_mutex_unlock(&post_mutex);
    while (post != NULL) {
        struct post *next = post->next;
        post->run(post->context);
        g_free(post);
        post = next;
    }
}

static gpointer run_loop(gpointer unused) {
    (void)unused;
    g_main_context_push_thread_default(loop_context);
    for (;;) g_main_context_iteration(loop_context, TRUE);
    return NULL;
}

GMainContext *troupe_loop_context(void) {
    static gsize started;
    if (g_once_init_enter(&started)) {
        loop_context = g_main_context_new();
        post_source = troupe_loop_trigger(run_posts, NULL);
        loop_thread = g_thread_new("troupe-ice", run_loop, NULL);
        g_once_init_leave(&started, 1);
    }
    return loop_context;
}

void troupe_loop_post(void (*run)(void *), void *context) {
    troupe_loop_context();
    struct post *post = g_new(struct post, 1);
    *post = (struct post){.run = run, .context = context};
    g_mutex_lock(&post_mutex);
    bool first = post_first == NULL;
    if (first) post_first = post;
    else post_last->next = post;
    post_last = post;
    g_mutex_unlock(&post_mutex);
    if (first) g_source_set_ready_time(post_source, 0);
}

bool troupe_loop_is_current(void) {
    troupe_loop_context();
    return g_thread_self() == loop_thread;
}

struct trigger {
    void (*run)(void *);
    void *context;
};

static gboolean dispatch_trigger(GSource *source, GSourceFunc function, gpointer user) {
    (void)function;
    // Before the call, which may ask for the next one.
    g_source_set_ready_time(source, -1);
    struct trigger *trigger = user;
    trigger->run(trigger->context);
    return G_SOURCE_CONTINUE;
}

static gboolean never_called(gpointer user) {
    (void)user;
    return G_SOURCE_CONTINUE;
}

GSource *troupe_loop_trigger(void (*run)(void *), void *context) {
    static GSourceFuncs functions = {.dispatch = dispatch_trigger};
    GSource *source = g_source_new(&functions, sizeof(GSource));
    struct trigger *trigger = g_new(struct trigger, 1);
    *trigger = (struct trigger){run, context};
    g_source_set_callback(source, never_called, trigger, g_free);
    g_source_attach(source, loop_context);
    return source;
}

uint64_t troupe_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
