// A look at what comes to a socket, before it is read.
#define _GNU_SOURCE
#include "glance.h"

typedef struct {
    GSource source;
    GSocket *socket;
    GPollFD poll;
    glance_function *see;
    void *context;
} glance;

static gboolean prepare(GSource *source, gint *timeout) {
    glance *self = (glance *)source;
    *timeout = -1;
    // Its owner may have closed it; the number may be that of another file by now.
    if (self->poll.fd >= 0 && g_socket_is_closed(self->socket)) {
        g_source_remove_poll(source, &self->poll);
        self->poll.fd = -1;
    }
    return FALSE;
}

static gboolean check(GSource *source) {
    glance *self = (glance *)source;
    if (self->poll.fd < 0 || (self->poll.revents & G_IO_IN) == 0) return FALSE;
    uint8_t head[GLANCE_HEAD_SIZE];
    struct sockaddr_storage from;
    socklen_t from_size = sizeof from;
    ssize_t size = recvfrom(
        self->poll.fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &from_size);
    if (size >= 0) self->see(self->context, head, (size_t)size, (const struct sockaddr *)&from);
    // It is for others to read.
    return FALSE;
}

static gboolean dispatch(GSource *source, GSourceFunc function, gpointer user) {
    (void)source, (void)function, (void)user;
    return G_SOURCE_CONTINUE;
}

static void finalize(GSource *source) { g_object_unref(((glance *)source)->socket); }

GSource *glance_at(GSocket *socket, glance_function *see, void *context) {
    static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch, .finalize = finalize};
    GSource *source = g_source_new(&functions, sizeof(glance));
    glance *self = (glance *)source;
    self->socket = g_object_ref(socket);
    self->poll = (GPollFD){.fd = g_socket_get_fd(socket), .events = G_IO_IN};
    self->see = see;
    self->context = context;
    // Not by g_source_add_unix_fd, which would have it dispatched, and readers of a lower priority wait.
    g_source_add_poll(source, &self->poll);
    g_source_set_priority(source, G_PRIORITY_HIGH);
    g_source_attach(source, troupe_loop_context());
    return source;
}
