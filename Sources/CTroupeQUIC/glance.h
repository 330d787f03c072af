// libnice passes over what comes from addresses that it did not find, and tells nobody.
#pragma once
#include "internal.h"
#include <gio/gio.h>
#include <sys/socket.h>

enum { GLANCE_HEAD_SIZE = 8 };

/// `size` is the datagram's; of its bytes there are at most GLANCE_HEAD_SIZE.
typedef void glance_function(void *context, const uint8_t *head, size_t size, const struct sockaddr *from);

/// Each time the loop comes round and datagrams wait at the socket, shows the first of them, and leaves it there. To be
/// destroyed and given back by the caller.
GSource *glance_at(GSocket *socket, glance_function *see, void *context);
