// A path to a peer through NATs: one libnice agent with one stream of one component.
#define _GNU_SOURCE
#include "glance.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <nice/agent.h>
#include <string.h>

/// Datagrams that come before the agent says that a path is there: the answerer often hears the caller first.
enum { EARLY_MAX = 16, COMPONENT = 1 };

struct troupe_ice {
    NiceAgent *agent;
    guint stream;
    troupe_ice_callbacks callbacks;
    bool gathering, has_local_address, connected, reported_failure;
    void (*receive)(void *, const uint8_t *, size_t);
    void *receive_context;
    GQueue early;
    /// What looks for strays: a GSource for each socket.
    GPtrArray *glances;
    GArray *turn_addresses;
    /// From where the last datagram came that was no stray.
    NiceAddress expected;
};

static void on_candidate(NiceAgent *agent, NiceCandidate *candidate, gpointer user) {
    troupe_ice *ice = user;
    gchar *line = nice_agent_generate_local_candidate_sdp(agent, candidate);
    if (line == NULL) return;
    ice->callbacks.candidate(ice->callbacks.context, line);
    g_free(line);
}

static void on_gathered(NiceAgent *agent, guint stream, gpointer user) {
    (void)agent, (void)stream;
    troupe_ice *ice = user;
    ice->callbacks.gathered(ice->callbacks.context);
}

static void hand_over_early(troupe_ice *ice) {
    while (ice->receive != NULL && ice->connected && !g_queue_is_empty(&ice->early)) {
        GBytes *bytes = g_queue_pop_head(&ice->early);
        gsize size = 0;
        const uint8_t *data = g_bytes_get_data(bytes, &size);
        ice->receive(ice->receive_context, data, size);
        g_bytes_unref(bytes);
    }
}

// MARK: Strays

static void describe(const NiceAddress *address, char text[80]) {
    char host[NICE_ADDRESS_STRING_LEN];
    nice_address_to_string(address, host);
    const char *shape = strchr(host, ':') == NULL ? "%s:%u" : "[%s]:%u";
    g_snprintf(text, 80, shape, host, nice_address_get_port(address));
}

/// RFC 8489 §5. Whether it is genuine is for libnice to say.
static bool looks_like_stun(const uint8_t *head, size_t size) {
    return size >= 20 && (head[0] & 0xC0) == 0 && memcmp(head + 4, "\x21\x12\xA4\x42", 4) == 0;
}

static bool is_known(troupe_ice *ice, const NiceAddress *sender) {
    for (guint at = 0; at < ice->turn_addresses->len; at++) {
        if (nice_address_equal(&g_array_index(ice->turn_addresses, NiceAddress, at), sender)) return true;
    }
    bool known = false;
    GSList *candidates = nice_agent_get_remote_candidates(ice->agent, ice->stream, COMPONENT);
    for (GSList *at = candidates; at != NULL && !known; at = at->next) {
        known = nice_address_equal(&((NiceCandidate *)at->data)->addr, sender);
    }
    g_slist_free_full(candidates, (GDestroyNotify)nice_candidate_free);
    return known;
}

static void on_glance(void *context, const uint8_t *head, size_t size, const struct sockaddr *from) {
    troupe_ice *ice = context;
    if (looks_like_stun(head, size)) return;
    NiceAddress sender;
    nice_address_init(&sender);
    nice_address_set_from_sockaddr(&sender, from);
    if (nice_address_equal(&sender, &ice->expected)) return;
    if (is_known(ice, &sender)) {
        ice->expected = sender;
        return;
    }
    char text[80];
    describe(&sender, text);
    ice->callbacks.stray(ice->callbacks.context, text);
}

/// Not before a path is there: until then, the other side may be heard before it is known where it is.
static void look_for_strays(troupe_ice *ice) {
    g_ptr_array_set_size(ice->glances, 0);
    GPtrArray *sockets = nice_agent_get_sockets(ice->agent, ice->stream, COMPONENT);
    for (guint at = 0; at < sockets->len; at++) {
        GSocket *socket = g_ptr_array_index(sockets, at);
        if (g_socket_get_socket_type(socket) != G_SOCKET_TYPE_DATAGRAM) continue;
        g_ptr_array_add(ice->glances, glance_at(socket, on_glance, ice));
    }
    g_ptr_array_unref(sockets);
}

static void end_glance(gpointer source) {
    g_source_destroy(source);
    g_source_unref(source);
}

// MARK: The agent

static void on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer user) {
    (void)agent, (void)stream, (void)component;
    troupe_ice *ice = user;
    // Not READY, which comes two seconds later and promises nothing that matters here.
    if (state == NICE_COMPONENT_STATE_CONNECTED || state == NICE_COMPONENT_STATE_READY) {
        // Again when it is ready: sockets may have come late.
        look_for_strays(ice);
        if (ice->connected) return;
        ice->connected = true;
        ice->callbacks.state(ice->callbacks.context, TROUPE_ICE_CONNECTED);
        hand_over_early(ice);
    } else if (state == NICE_COMPONENT_STATE_FAILED && !ice->reported_failure) {
        ice->reported_failure = true;
        ice->callbacks.state(ice->callbacks.context, TROUPE_ICE_FAILED);
    }
}

static void on_pair(
    NiceAgent *agent, guint stream, guint component, NiceCandidate *local, NiceCandidate *remote, gpointer user) {
    (void)agent, (void)stream, (void)component, (void)local, (void)remote;
    troupe_ice *ice = user;
    ice->callbacks.pair(ice->callbacks.context);
}

static void on_datagram(NiceAgent *agent, guint stream, guint component, guint size, gchar *bytes, gpointer user) {
    (void)agent, (void)stream, (void)component;
    troupe_ice *ice = user;
    if (ice->receive != NULL && ice->connected) {
        ice->receive(ice->receive_context, (const uint8_t *)bytes, size);
    } else if (g_queue_get_length(&ice->early) < EARLY_MAX) {
        g_queue_push_tail(&ice->early, g_bytes_new(bytes, size));
    }
}

troupe_ice *troupe_ice_new(const troupe_ice_configuration *configuration, const troupe_ice_callbacks *callbacks) {
    GMainContext *context = troupe_loop_context();
    NiceAgent *agent = nice_agent_new_full(
        context, NICE_COMPATIBILITY_RFC5245, NICE_AGENT_OPTION_CONSENT_FRESHNESS | NICE_AGENT_OPTION_ICE_TRICKLE);
    if (agent == NULL) return NULL;
    troupe_ice *ice = g_new0(troupe_ice, 1);
    ice->agent = agent;
    ice->callbacks = *callbacks;
    g_queue_init(&ice->early);
    ice->glances = g_ptr_array_new_with_free_func(end_glance);
    ice->turn_addresses = g_array_new(FALSE, FALSE, sizeof(NiceAddress));
    nice_address_init(&ice->expected);
    g_object_set(
        agent, "controlling-mode", (gboolean)configuration->controlling, "upnp", FALSE, "ice-tcp", FALSE, "force-relay",
        (gboolean)configuration->relay_only, NULL);
    if (configuration->stun_address != NULL) {
        g_object_set(
            agent, "stun-server", configuration->stun_address, "stun-server-port", (guint)configuration->stun_port, NULL);
    }
    ice->stream = nice_agent_add_stream(agent, 1);
    nice_agent_set_stream_name(agent, ice->stream, "application");
    g_signal_connect(agent, "new-candidate-full", G_CALLBACK(on_candidate), ice);
    g_signal_connect(agent, "candidate-gathering-done", G_CALLBACK(on_gathered), ice);
    g_signal_connect(agent, "component-state-changed", G_CALLBACK(on_state), ice);
    g_signal_connect(agent, "new-selected-pair-full", G_CALLBACK(on_pair), ice);
    nice_agent_attach_recv(agent, ice->stream, COMPONENT, context, on_datagram, ice);
    return ice;
}

bool troupe_ice_add_local_address(troupe_ice *ice, const char *text) {
    NiceAddress address;
    nice_address_init(&address);
    if (!nice_address_set_from_string(&address, text)) return false;
    ice->has_local_address = true;
    return nice_agent_add_local_address(ice->agent, &address);
}

bool troupe_ice_add_turn(
    troupe_ice *ice, const char *address, uint16_t port, const char *user, const char *password, bool over_tcp) {
    NiceAddress server;
    nice_address_init(&server);
    if (!nice_address_set_from_string(&server, address)) return false;
    nice_address_set_port(&server, port);
    g_array_append_val(ice->turn_addresses, server);
    return nice_agent_set_relay_info(
        ice->agent, ice->stream, COMPONENT, address, port, user, password,
        over_tcp ? NICE_RELAY_TYPE_TURN_TCP : NICE_RELAY_TYPE_TURN_UDP);
}

static bool is_useful(const struct ifaddrs *interface) {
    const struct sockaddr *address = interface->ifa_addr;
    if (address == NULL || (interface->ifa_flags & IFF_UP) == 0 || (interface->ifa_flags & IFF_LOOPBACK) != 0) return false;
    if (address->sa_family == AF_INET) return true;
    return address->sa_family == AF_INET6
        && !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/// Left to itself, libnice would also try link-local addresses, which cost time and lead nowhere.
static bool add_all_local_addresses(troupe_ice *ice) {
    enum { ADDRESSES_MAX = 16 };
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0) return false;
    int count = 0;
    for (struct ifaddrs *at = interfaces; at != NULL && count < ADDRESSES_MAX; at = at->ifa_next) {
        if (!is_useful(at)) continue;
        NiceAddress address;
        nice_address_init(&address);
        nice_address_set_from_sockaddr(&address, at->ifa_addr);
        nice_address_set_port(&address, 0);
        if (nice_agent_add_local_address(ice->agent, &address)) count++;
    }
    freeifaddrs(interfaces);
    return count > 0;
}

bool troupe_ice_gather(troupe_ice *ice) {
    if (!ice->has_local_address && !add_all_local_addresses(ice)) return false;
    return nice_agent_gather_candidates(ice->agent, ice->stream);
}

bool troupe_ice_local_credentials(troupe_ice *ice, char user[257], char password[257]) {
    gchar *given_user = NULL, *given_password = NULL;
    if (!nice_agent_get_local_credentials(ice->agent, ice->stream, &given_user, &given_password)) return false;
    g_strlcpy(user, given_user, 257);
    g_strlcpy(password, given_password, 257);
    g_free(given_user);
    g_free(given_password);
    return true;
}

bool troupe_ice_set_remote_credentials(troupe_ice *ice, const char *user, const char *password) {
    return nice_agent_set_remote_credentials(ice->agent, ice->stream, user, password);
}

bool troupe_ice_add_remote_candidate(troupe_ice *ice, const char *line) {
    NiceCandidate *candidate = nice_agent_parse_remote_candidate_sdp(ice->agent, ice->stream, line);
    if (candidate == NULL) return false;
    bool usable = candidate->component_id == COMPONENT && candidate->transport == NICE_CANDIDATE_TRANSPORT_UDP;
    if (usable) {
        GSList list = {.data = candidate};
        usable = nice_agent_set_remote_candidates(ice->agent, ice->stream, COMPONENT, &list) > 0;
    }
    nice_candidate_free(candidate);
    return usable;
}

void troupe_ice_remote_candidates_done(troupe_ice *ice) {
    nice_agent_peer_candidate_gathering_done(ice->agent, ice->stream);
}

static troupe_candidate_type type_of(const NiceCandidate *candidate) {
    switch (candidate->type) {
    case NICE_CANDIDATE_TYPE_HOST: return TROUPE_CANDIDATE_HOST;
    case NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE: return TROUPE_CANDIDATE_SERVER_REFLEXIVE;
    case NICE_CANDIDATE_TYPE_PEER_REFLEXIVE: return TROUPE_CANDIDATE_PEER_REFLEXIVE;
    case NICE_CANDIDATE_TYPE_RELAYED: return TROUPE_CANDIDATE_RELAYED;
    }
    return TROUPE_CANDIDATE_HOST;
}

bool troupe_ice_selected_pair(troupe_ice *ice, troupe_ice_pair *pair) {
    NiceCandidate *local = NULL, *remote = NULL;
    if (!nice_agent_get_selected_pair(ice->agent, ice->stream, COMPONENT, &local, &remote)) return false;
    pair->local_type = type_of(local);
    pair->remote_type = type_of(remote);
    describe(&local->addr, pair->local_address);
    describe(&remote->addr, pair->remote_address);
    return true;
}

void troupe_ice_set_receiver(troupe_ice *ice, void (*receive)(void *, const uint8_t *, size_t), void *context) {
    ice->receive = receive;
    ice->receive_context = context;
    hand_over_early(ice);
}

void troupe_ice_send(troupe_ice *ice, const uint8_t *bytes, size_t size) {
    nice_agent_send(ice->agent, ice->stream, COMPONENT, (guint)size, (const gchar *)bytes);
}

static void release(GObject *agent, GAsyncResult *result, gpointer user) {
    (void)result, (void)user;
    g_object_unref(agent);
}

/// Apart, since whoever frees may have been called from a function of this file that goes on with the object.
static void free_at_last(void *context) {
    troupe_ice *ice = context;
    g_queue_clear_full(&ice->early, (GDestroyNotify)g_bytes_unref);
    g_ptr_array_unref(ice->glances);
    g_array_unref(ice->turn_addresses);
    // Closing gives TURN allocations back, for which answers must be awaited.
    nice_agent_close_async(ice->agent, release, NULL);
    g_free(ice);
}

void troupe_ice_free(troupe_ice *ice) {
    g_signal_handlers_disconnect_by_data(ice->agent, ice);
    g_ptr_array_set_size(ice->glances, 0);
    nice_agent_attach_recv(ice->agent, ice->stream, COMPONENT, troupe_loop_context(), NULL, NULL);
    ice->receive = NULL;
    troupe_loop_post(free_at_last, ice);
}
