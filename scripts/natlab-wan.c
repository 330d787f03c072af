// A wide-area network for scripts/natlab on kernels without netem. The router sends packets into a TUN device; here some are
// lost and the others wait, for their turn on a link of limited rate and for the way, and then go back to the router.
// usage: natlab-wan DEVICE ONE_WAY_MS LOSS_PERCENT MBIT      (MBIT 0: no limit)
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS = 1 << 13, SIZE_MAX_BYTES = 1600, BATCH = 32, LINKS = 3 };
/// What a link holds back at most before it drops, as a router's queue would.
static const int64_t QUEUE_NS = 50 * 1000000;

struct packet {
    int64_t due;
    ssize_t size;
    uint8_t bytes[SIZE_MAX_BYTES];
};

struct link {
    uint8_t network[3];
    int used;
    /// When it has sent what it was given.
    int64_t free_at;
    /// What is on its way, in order.
    struct packet *packets;
    unsigned first, end;
};

static struct link links[LINKS];

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/// The link to the network that an IPv4 packet goes to. The lab has three; if there were more they would share.
static struct link *link_to(const uint8_t *address) {
    for (int at = 0; at < LINKS; at++) {
        if (!links[at].used) {
            links[at].used = 1;
            memcpy(links[at].network, address, 3);
        }
        if (memcmp(links[at].network, address, 3) == 0) return &links[at];
    }
    return &links[LINKS - 1];
}

static void take(int file, int64_t delay, double loss, double bits_per_ns) {
    static uint8_t bytes[SIZE_MAX_BYTES];
    for (int count = 0; count < BATCH; count++) {
        ssize_t size = read(file, bytes, sizeof bytes);
        if (size < 20) return;
        struct link *link = link_to(bytes + 16);
        if (drand48() < loss || link->end - link->first == PACKETS) continue;
        int64_t moment = now();
        if (bits_per_ns > 0) {
            if (link->free_at < moment) link->free_at = moment;
            if (link->free_at - moment > QUEUE_NS) continue;
            link->free_at += (int64_t)((double)size * 8 / bits_per_ns);
            moment = link->free_at;
        }
        struct packet *packet = &link->packets[link->end++ % PACKETS];
        packet->due = moment + delay;
        packet->size = size;
        memcpy(packet->bytes, bytes, (size_t)size);
    }
}

/// When the next packet is due; INT64_MAX if there is none.
static int64_t give(int file) {
    int64_t next = INT64_MAX;
    for (struct link *link = links; link < links + LINKS; link++) {
        for (; link->first != link->end; link->first++) {
            struct packet *packet = &link->packets[link->first % PACKETS];
            if (packet->due > now()) {
                if (packet->due < next) next = packet->due;
                break;
            }
            if (write(file, packet->bytes, (size_t)packet->size) < 0 && errno != EIO) perror("natlab-wan");
        }
    }
    return next;
}

int main(int count, char **words) {
    if (count != 5) return 2;
    int64_t delay = (int64_t)(atof(words[2]) * 1e6);
    double loss = atof(words[3]) / 100, bits_per_ns = atof(words[4]) / 1000;
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strncpy(request.ifr_name, words[1], IFNAMSIZ - 1);
    int file = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (file < 0 || ioctl(file, TUNSETIFF, &request) != 0) {
        perror("natlab-wan: /dev/net/tun");
        return 1;
    }
    for (int at = 0; at < LINKS; at++) {
        links[at].packets = calloc(PACKETS, sizeof(struct packet));
        if (links[at].packets == NULL) return 1;
    }
    prctl(PR_SET_TIMERSLACK, 1000);
    for (;;) {
        int64_t next = give(file), left = next - now();
        if (left < 0) left = 0;
        struct timespec wait = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        struct pollfd poll = {.fd = file, .events = POLLIN};
        if (ppoll(&poll, 1, next == INT64_MAX ? NULL : &wait, NULL) > 0) take(file, delay, loss, bits_per_ns);
    }
}
