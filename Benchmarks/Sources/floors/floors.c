// The floors that the rows stand on: what the same server, or the same socket, does at least.
// Most floors are a ping-pong between two processes, and print one number a line: nanoseconds of a round trip.
//
// usage: floors redis HOST PORT COUNT BYTES [BACK] | floors redis-unix PATH COUNT BYTES [BACK]
//        floors redis-push PATH COUNT BYTES          (pipelined RPUSH: nanoseconds a command, one line)
//        floors nng URL COUNT BYTES [BACK]           (two hops) | floors nng-hop URL COUNT BYTES (one)
//        floors socket COUNT BYTES | floors threads COUNT   (a condition variable each way)
//        floors memcpy COUNT BYTES | floors loopback COUNT BYTES   (one way over TCP, and a byte back when all is there)
// BACK: bytes of the answer, if they are not those of the request.
#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "floors: %s\n", what);
    exit(1);
}

// Runs the echoing half in a child that ends with its parent.
static pid_t echo_in_child(void (*echo)(void *), void *context) {
    pid_t child = fork();
    if (child < 0) fail("fork failed");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        echo(context);
        _exit(0);
    }
    return child;
}

// A tenth of the rounds warms up and is not printed.
static void measure(int count, void (*round)(void *), void *context) {
    for (int i = 0; i < count / 10 + 1; i++) round(context);
    for (int i = 0; i < count; i++) {
        uint64_t begin = now_ns();
        round(context);
        printf("%llu\n", (unsigned long long)(now_ns() - begin));
    }
}

// MARK: Redis: a list in each direction, as a mailbox and a reply mailbox would be

struct redis_place {
    const char *host;
    int port;
    const char *path;
    size_t bytes, back;
    redisContext *context;
    char *payload;
};

static redisContext *redis_open(struct redis_place *place) {
    redisContext *context = place->path ? redisConnectUnix(place->path) : redisConnect(place->host, place->port);
    if (context == NULL || context->err) fail(context ? context->errstr : "no redis context");
    return context;
}

static void redis_echo(void *argument) {
    struct redis_place *place = argument;
    redisContext *context = redis_open(place);
    for (;;) {
        redisReply *request = redisCommand(context, "BLPOP floor:there 0");
        if (request == NULL || request->type != REDIS_REPLY_ARRAY) return;
        redisReply *pushed = redisCommand(context, "RPUSH floor:back %b", place->payload, place->back);
        freeReplyObject(request);
        if (pushed == NULL) return;
        freeReplyObject(pushed);
    }
}

static void redis_round(void *argument) {
    struct redis_place *place = argument;
    redisReply *pushed = redisCommand(place->context, "RPUSH floor:there %b", place->payload, place->bytes);
    if (pushed == NULL) fail("the redis-server is gone");
    freeReplyObject(pushed);
    redisReply *reply = redisCommand(place->context, "BLPOP floor:back 0");
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) fail("no answer through redis");
    freeReplyObject(reply);
}

static void redis_floor(struct redis_place place, int count) {
    place.payload = calloc(1, place.bytes + place.back + 1);
    pid_t child = echo_in_child(redis_echo, &place);
    place.context = redis_open(&place);
    measure(count, redis_round, &place);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void redis_push_floor(struct redis_place place, int count) {
    place.payload = calloc(1, place.bytes + 1);
    redisContext *context = redis_open(&place);
    uint64_t begin = now_ns();
    for (int done = 0; done < count; done += 100) {
        for (int i = 0; i < 100; i++) redisAppendCommand(context, "RPUSH floor:push %b", place.payload, place.bytes);
        for (int i = 0; i < 100; i++) {
            void *reply;
            if (redisGetReply(context, &reply) != REDIS_OK) fail("the redis-server is gone");
            freeReplyObject(reply);
        }
    }
    printf("%llu\n", (unsigned long long)((now_ns() - begin) / (uint64_t)count));
    freeReplyObject(redisCommand(context, "DEL floor:push"));
}

// MARK: nng: two hops, as from a caller by way of a broker to a worker

struct nng_place {
    const char *url;
    size_t bytes, back;
    nng_socket socket;
    char *payload;
};

static void nng_must(int result, const char *what) {
    if (result != 0) {
        fprintf(stderr, "floors: %s: %s\n", what, nng_strerror(result));
        exit(1);
    }
}

static void nng_echo(void *argument) {
    struct nng_place *place = argument;
    nng_socket socket;
    nng_must(nng_rep0_open(&socket), "rep socket");
    nng_must(nng_listen(socket, place->url, NULL, 0), "listen");
    for (;;) {
        void *data;
        size_t size;
        if (nng_recv(socket, &data, &size, NNG_FLAG_ALLOC) != 0) return;
        if (size == place->back) {
            if (nng_send(socket, data, size, NNG_FLAG_ALLOC) != 0) return;
            continue;
        }
        nng_free(data, size);
        if (nng_send(socket, place->payload, place->back, 0) != 0) return;
    }
}

static void nng_ask(struct nng_place *place, size_t bytes) {
    void *data;
    size_t size;
    nng_must(nng_send(place->socket, place->payload, bytes, 0), "send");
    nng_must(nng_recv(place->socket, &data, &size, NNG_FLAG_ALLOC), "receive");
    nng_free(data, size);
}

static void nng_hop(void *argument) {
    struct nng_place *place = argument;
    nng_ask(place, place->bytes);
}

// If the answer has a size of its own, only one of the hops carries the bytes.
static void nng_round(void *argument) {
    struct nng_place *place = argument;
    nng_ask(place, place->bytes);
    nng_ask(place, place->back);
}

static void nng_floor(struct nng_place place, int count, void (*round)(void *)) {
    place.payload = calloc(1, place.bytes + place.back + 1);
    pid_t child = echo_in_child(nng_echo, &place);
    nng_must(nng_req0_open(&place.socket), "req socket");
    int result = NNG_ECONNREFUSED;
    for (int i = 0; i < 500 && result != 0; i++) {
        result = nng_dial(place.socket, place.url, NULL, 0);
        if (result != 0) usleep(10000);
    }
    nng_must(result, "dial");
    measure(count, round, &place);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// MARK: A plain socket

struct socket_pair {
    int near, far;
    size_t bytes;
    char *payload;
};

static int transfer(int descriptor, char *bytes, size_t size, ssize_t (*call)(int, char *, size_t)) {
    size_t done = 0;
    while (done < size) {
        ssize_t count = call(descriptor, bytes + done, size - done);
        if (count <= 0) return 0;
        done += (size_t)count;
    }
    return 1;
}

static ssize_t read_some(int descriptor, char *bytes, size_t size) { return read(descriptor, bytes, size); }
static ssize_t write_some(int descriptor, char *bytes, size_t size) { return write(descriptor, bytes, size); }

static void socket_echo(void *argument) {
    struct socket_pair *pair = argument;
    close(pair->near);
    while (transfer(pair->far, pair->payload, pair->bytes, read_some) &&
           transfer(pair->far, pair->payload, pair->bytes, write_some)) {
    }
}

static void socket_round(void *argument) {
    struct socket_pair *pair = argument;
    if (!transfer(pair->near, pair->payload, pair->bytes, write_some) ||
        !transfer(pair->near, pair->payload, pair->bytes, read_some))
        fail("the other end is gone");
}

static void socket_floor(int count, size_t bytes) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) fail("no socket pair");
    struct socket_pair pair = {ends[0], ends[1], bytes, calloc(1, bytes + 1)};
    pid_t child = echo_in_child(socket_echo, &pair);
    close(pair.far);
    measure(count, socket_round, &pair);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// MARK: Bytes as fast as they go: within a process, and one way over TCP

struct copying {
    char *from, *to;
    size_t bytes;
};

static void copy_round(void *argument) {
    struct copying *copying = argument;
    memcpy(copying->to, copying->from, copying->bytes);
    // Nobody reads the copy; without this the compiler might not make it.
    __asm__ volatile("" : : "r"(copying->to) : "memory");
}

static void memcpy_floor(int count, size_t bytes) {
    struct copying copying = {malloc(bytes), malloc(bytes), bytes};
    if (copying.from == NULL || copying.to == NULL) fail("no memory");
    memset(copying.from, 1, bytes);
    measure(count, copy_round, &copying);
}

enum { stream_chunk = 256 << 10 };

static int stream(int descriptor, char *chunk, size_t bytes, ssize_t (*call)(int, char *, size_t)) {
    for (size_t done = 0; done < bytes; done += stream_chunk) {
        size_t rest = bytes - done;
        if (!transfer(descriptor, chunk, rest < stream_chunk ? rest : stream_chunk, call)) return 0;
    }
    return 1;
}

static void stream_sink(void *argument) {
    struct socket_pair *pair = argument;
    int descriptor = accept(pair->far, NULL, NULL);
    if (descriptor < 0) return;
    while (stream(descriptor, pair->payload, pair->bytes, read_some) && transfer(descriptor, pair->payload, 1, write_some)) {
    }
}

static void stream_round(void *argument) {
    struct socket_pair *pair = argument;
    if (!stream(pair->near, pair->payload, pair->bytes, write_some) || !transfer(pair->near, pair->payload, 1, read_some))
        fail("the other end is gone");
}

static void loopback_floor(int count, size_t bytes) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct socket_pair pair = {-1, socket(AF_INET, SOCK_STREAM, 0), bytes, calloc(1, stream_chunk)};
    if (bind(pair.far, (struct sockaddr *)&address, size) != 0 || listen(pair.far, 1) != 0 ||
        getsockname(pair.far, (struct sockaddr *)&address, &size) != 0)
        fail("no port to listen on");
    pid_t child = echo_in_child(stream_sink, &pair);
    pair.near = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(pair.near, (struct sockaddr *)&address, size) != 0) fail("no connection");
    measure(count, stream_round, &pair);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// MARK: Two threads that wake each other

struct turns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int is_far;
};

static void pass_turn(struct turns *turns, int is_far) {
    pthread_mutex_lock(&turns->lock);
    turns->is_far = !is_far;
    pthread_cond_broadcast(&turns->changed);
    while (turns->is_far != is_far) pthread_cond_wait(&turns->changed, &turns->lock);
    pthread_mutex_unlock(&turns->lock);
}

static void *far_thread(void *argument) {
    struct turns *turns = argument;
    pthread_mutex_lock(&turns->lock);
    while (!turns->is_far) pthread_cond_wait(&turns->changed, &turns->lock);
    pthread_mutex_unlock(&turns->lock);
    for (;;) pass_turn(turns, 1);
    return NULL;
}

static void threads_round(void *argument) { pass_turn(argument, 0); }

static void threads_floor(int count) {
    // The far thread ends with the process.
    static struct turns turns = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    pthread_t thread;
    if (pthread_create(&thread, NULL, far_thread, &turns) != 0) fail("no thread");
    measure(count, threads_round, &turns);
}

// The argument at that place, or the one before if there is none: what comes back is as large as what went there.
static size_t back(int argc, char **argv, int place) { return (size_t)atol(argv[argc > place ? place : place - 1]); }

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if ((argc == 6 || argc == 7) && strcmp(kind, "redis") == 0) {
        redis_floor(
            (struct redis_place){argv[2], atoi(argv[3]), NULL, (size_t)atol(argv[5]), back(argc, argv, 6)}, atoi(argv[4]));
    } else if ((argc == 5 || argc == 6) && strcmp(kind, "redis-unix") == 0) {
        redis_floor((struct redis_place){NULL, 0, argv[2], (size_t)atol(argv[4]), back(argc, argv, 5)}, atoi(argv[3]));
    } else if (argc == 5 && strcmp(kind, "redis-push") == 0) {
        redis_push_floor((struct redis_place){NULL, 0, argv[2], (size_t)atol(argv[4])}, atoi(argv[3]));
    } else if ((argc == 5 || argc == 6) && strcmp(kind, "nng") == 0) {
        nng_floor((struct nng_place){argv[2], (size_t)atol(argv[4]), back(argc, argv, 5)}, atoi(argv[3]), nng_round);
    } else if (argc == 5 && strcmp(kind, "nng-hop") == 0) {
        nng_floor((struct nng_place){argv[2], (size_t)atol(argv[4]), back(argc, argv, 5)}, atoi(argv[3]), nng_hop);
    } else if (argc == 4 && strcmp(kind, "socket") == 0) {
        socket_floor(atoi(argv[2]), (size_t)atol(argv[3]));
    } else if (argc == 3 && strcmp(kind, "threads") == 0) {
        threads_floor(atoi(argv[2]));
    } else if (argc == 4 && strcmp(kind, "memcpy") == 0) {
        memcpy_floor(atoi(argv[2]), (size_t)atol(argv[3]));
    } else if (argc == 4 && strcmp(kind, "loopback") == 0) {
        loopback_floor(atoi(argv[2]), (size_t)atol(argv[3]));
    } else {
        fprintf(stderr, "usage: floors redis|redis-unix|redis-push|nng|nng-hop|socket|threads|memcpy|loopback ... "
                        "(see the top of floors.c)\n");
        return 2;
    }
    return 0;
}
