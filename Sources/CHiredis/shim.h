// What TroupeRedis needs of hiredis (its reply parser) and of Linux beyond the C library's module. The functions below let a socket be read straight into the
// parser's buffer, where redisReaderFeed would copy every byte once more.
#pragma once
#include <hiredis/read.h>
#include <hiredis/sds.h>
#include <limits.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

/// Makes room for `size` more bytes; 0 when memory ran out. A large buffer that has become empty is given back first.
static inline int troupe_reader_reserve(redisReader *reader, size_t size) {
    if (reader->len == 0 && reader->maxbuf != 0 && sdsavail(reader->buf) > reader->maxbuf && size <= reader->maxbuf) {
        sds fresh = sdsempty();
        if (fresh == NULL) return 0;
        sdsfree(reader->buf);
        reader->buf = fresh;
        reader->pos = 0;
    }
    sds grown = sdsMakeRoomFor(reader->buf, size);
    if (grown == NULL) return 0;
    reader->buf = grown;
    return 1;
}

static inline char *troupe_reader_tail(redisReader *reader) { return reader->buf + reader->len; }

static inline size_t troupe_reader_available(redisReader *reader) {
    size_t available = sdsavail(reader->buf);
    return available < INT_MAX ? available : INT_MAX;
}

/// Tells the parser that `count` bytes were written to its tail.
static inline void troupe_reader_filled(redisReader *reader, size_t count) {
    sdsIncrLen(reader->buf, (int)count);
    reader->len = sdslen(reader->buf);
}

/// How many bytes the string that is being read still lacks; 0 when no string is being read or its length is not in yet.
static inline size_t troupe_reader_missing(redisReader *reader) {
    if (reader->ridx < 0 || reader->rstack[reader->ridx].type != REDIS_REPLY_STRING) return 0;
    size_t length = 0, at = reader->pos;
    for (; at < reader->len && reader->buf[at] >= '0' && reader->buf[at] <= '9'; at++) {
        if (length > PTRDIFF_MAX / 32) return PTRDIFF_MAX;
        length = length * 10 + (size_t)(reader->buf[at] - '0');
    }
    if (at == reader->pos || at >= reader->len || reader->buf[at] != '\r') return 0;
    size_t end = at + 2 + length + 2;
    return end > reader->len ? end - reader->len : 0;
}

/// How many bytes the parser holds that it has not made into a reply.
static inline size_t troupe_reader_held(redisReader *reader) { return reader->len - reader->pos; }
