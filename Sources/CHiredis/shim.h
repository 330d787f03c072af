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

/// Where a string that is being read begins and ends in the parser's buffer, its line end included; 0 when no string is being
/// read or its length is not in yet. An end beyond PTRDIFF_MAX / 2 stands for any that is too far.
static inline int troupe_reader_string(redisReader *reader, size_t *begin, size_t *end) {
    if (reader->ridx < 0 || reader->rstack[reader->ridx].type != REDIS_REPLY_STRING) return 0;
    size_t length = 0, at = reader->pos;
    for (; at < reader->len && reader->buf[at] >= '0' && reader->buf[at] <= '9'; at++) {
        if (length < PTRDIFF_MAX / 32) length = length * 10 + (size_t)(reader->buf[at] - '0');
        else length = PTRDIFF_MAX / 2;
    }
    if (at == reader->pos || at >= reader->len || reader->buf[at] != '\r') return 0;
    *begin = at + 2;
    *end = *begin + length + 2;
    return 1;
}

/// How many bytes the string that is being read still lacks; 0 when no string is being read or its length is not in yet.
static inline size_t troupe_reader_missing(redisReader *reader) {
    size_t begin, end;
    if (!troupe_reader_string(reader, &begin, &end)) return 0;
    return end > reader->len ? end - reader->len : 0;
}

/// Whether the string that is being read is a reply by itself, so that the parser need not have it.
static inline int troupe_reader_is_outermost(redisReader *reader) { return reader->ridx == 0; }

/// Makes the parser forget an outermost string and all that it holds of it: the next byte it gets begins another reply.
static inline void troupe_reader_forget_string(redisReader *reader) {
    sdsclear(reader->buf);
    reader->len = 0;
    reader->pos = 0;
    reader->ridx = -1;
}

/// How many bytes the parser holds that it has not made into a reply.
static inline size_t troupe_reader_held(redisReader *reader) { return reader->len - reader->pos; }
