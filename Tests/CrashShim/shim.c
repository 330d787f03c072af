// Watches what a process does to the files of one directory, and makes it die or fail at a chosen step. Loaded by LD_PRELOAD.
//
//   TROUPE_SHIM_DIR    the directory, absolute and without a slash at its end
//   TROUPE_SHIM_LOG    a file to which every step is appended, before it is done (struct entry, then the data)
//   TROUPE_SHIM_KILL   the number of the step at which the process dies by SIGKILL, counted from 1, before it is done
//   TROUPE_SHIM_TEAR   1: half of that step is done first, if it is a write of more than one sector
//   TROUPE_SHIM_FAIL   ERRNO:FROM:COUNT, so many steps from that number on fail with that error and do nothing
//   TROUPE_SHIM_CLOCK  a file whose number of milliseconds is added to the time of day whenever it is read
//
// All steps are in one order: a lock is held over the entry and the deed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// OPEN tells the inode of a file that was there; it is no step.
enum kind { CREATE = 1, WRITE, TRUNCATE, SYNC, SYNCED, UNLINK, LINK, RENAME, OPEN };

struct entry {
    uint32_t kind;
    uint32_t is_directory;
    uint64_t step;
    uint64_t nanoseconds;  // CLOCK_MONOTONIC
    uint64_t file;         // its inode
    int64_t offset;
    uint64_t size;         // bytes that follow: what is written, or a name, or two with a NUL between
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char directory[4096];
static int log_descriptor = -1;
static uint64_t step_count, kill_step, fail_from, fail_count;
static int fail_error, is_tearing;

static struct { int is_watched; int is_directory; uint64_t file; } watched[4096];

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("TROUPE_SHIM_DIR");
    if (!text) return;
    snprintf(directory, sizeof directory, "%s", text);
    if ((text = getenv("TROUPE_SHIM_KILL"))) kill_step = strtoull(text, NULL, 10);
    if ((text = getenv("TROUPE_SHIM_TEAR"))) is_tearing = atoi(text);
    if ((text = getenv("TROUPE_SHIM_FAIL"))) {
        unsigned long long from = 0, count = 0;
        if (sscanf(text, "%d:%llu:%llu", &fail_error, &from, &count) == 3) { fail_from = from; fail_count = count; }
    }
    if ((text = getenv("TROUPE_SHIM_LOG")))
        log_descriptor = (int)syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

// The name within the directory, "" for the directory itself, NULL for what is elsewhere.
static const char *inside(const char *path) {
    size_t length = strlen(directory);
    if (!length || !path || strncmp(path, directory, length)) return NULL;
    if (!path[length] || !strcmp(path + length, "/")) return "";
    return path[length] == '/' ? path + length + 1 : NULL;
}

static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

static void note(enum kind kind, int is_directory, uint64_t file, int64_t offset, const void *data, size_t size) {
    if (log_descriptor < 0) return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct entry entry = {
        kind, (uint32_t)is_directory, step_count, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, file, offset, size};
    struct iovec parts[2] = {{&entry, sizeof entry}, {(void *)data, size}};
    if (syscall(SYS_writev, log_descriptor, parts, size ? 2 : 1) < 0) die();
}

// Counts a step that is about to be done, with the lock held. Returns an error number if it is to fail instead.
static int step(enum kind kind, int descriptor, uint64_t file, int64_t offset, const void *data, size_t size) {
    step_count++;
    if (fail_count && step_count >= fail_from && step_count < fail_from + fail_count) return fail_error;
    int is_last = kill_step && step_count == kill_step;
    if (is_last && kind == WRITE && is_tearing) {
        size_t half = size / 2 / 512 * 512;
        note(kind, 0, file, offset, data, half);
        if (half) syscall(SYS_pwrite64, descriptor, data, half, offset);
    }
    if (is_last) die();
    note(kind, descriptor >= 0 && descriptor < 4096 && watched[descriptor].is_directory, file, offset, data, size);
    return 0;
}

static int is_watched(int descriptor) { return descriptor >= 0 && descriptor < 4096 && watched[descriptor].is_watched; }

static void watch(int descriptor, int is_directory) {
    struct stat status;
    if (descriptor < 0 || descriptor >= 4096 || fstat(descriptor, &status)) return;
    watched[descriptor].is_watched = 1;
    watched[descriptor].is_directory = is_directory;
    watched[descriptor].file = status.st_ino;
}

static int opened(const char *path, int flags, mode_t mode) {
    const char *name = inside(path);
    if (!name) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&lock);
    int is_new = (flags & O_CREAT) && access(path, F_OK);
    int error = 0;
    if (is_new) {
        step_count++;
        if (fail_count && step_count >= fail_from && step_count < fail_from + fail_count) error = fail_error;
        if (kill_step && step_count == kill_step) die();
    }
    int descriptor = error ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (error) errno = error;
    int saved = errno;
    if (descriptor >= 0) {
        struct stat status;
        watch(descriptor, fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode));
        if (descriptor < 4096 && !watched[descriptor].is_directory)
            note(is_new ? CREATE : OPEN, 0, watched[descriptor].file, 0, name, strlen(name));
        if (!is_new && (flags & O_TRUNC) && descriptor < 4096) {
            step_count++;
            note(TRUNCATE, 0, watched[descriptor].file, 0, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return descriptor;
}

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
        return opened(path, flags | O_LARGEFILE, mode); \
    }
OPENING(open)
OPENING(open64)

int close(int descriptor) {
    if (is_watched(descriptor)) {
        pthread_mutex_lock(&lock);
        watched[descriptor].is_watched = 0;
        pthread_mutex_unlock(&lock);
    }
    return (int)syscall(SYS_close, descriptor);
}

static ssize_t written(int descriptor, const void *data, size_t size, int64_t offset) {
    pthread_mutex_lock(&lock);
    int error = step(WRITE, descriptor, watched[descriptor].file, offset, data, size);
    ssize_t count = error ? -1 : syscall(SYS_pwrite64, descriptor, data, size, offset);
    if (error) errno = error;
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return count;
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    if (!is_watched(descriptor)) return syscall(SYS_pwrite64, descriptor, data, size, offset);
    return written(descriptor, data, size, offset);
}
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) { return pwrite64(descriptor, data, size, offset); }

ssize_t write(int descriptor, const void *data, size_t size) {
    if (!is_watched(descriptor)) return syscall(SYS_write, descriptor, data, size);
    ssize_t count = written(descriptor, data, size, lseek(descriptor, 0, SEEK_CUR));
    if (count > 0) lseek(descriptor, count, SEEK_CUR);
    return count;
}

static int done(enum kind kind, int descriptor, int64_t offset, long call, long one, long two) {
    pthread_mutex_lock(&lock);
    int error = step(kind, descriptor, watched[descriptor].file, offset, NULL, 0);
    int result = error ? -1 : (int)syscall(call, one, two);
    if (error) errno = error;
    int saved = errno;
    if (kind == SYNC && !result) note(SYNCED, watched[descriptor].is_directory, watched[descriptor].file, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

int ftruncate64(int descriptor, off64_t size) {
    if (!is_watched(descriptor)) return (int)syscall(SYS_ftruncate, descriptor, size);
    return done(TRUNCATE, descriptor, size, SYS_ftruncate, descriptor, size);
}
int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

int fsync(int descriptor) {
    if (!is_watched(descriptor)) return (int)syscall(SYS_fsync, descriptor);
    return done(SYNC, descriptor, 0, SYS_fsync, descriptor, 0);
}
int fdatasync(int descriptor) {
    if (!is_watched(descriptor)) return (int)syscall(SYS_fdatasync, descriptor);
    return done(SYNC, descriptor, 0, SYS_fdatasync, descriptor, 0);
}

// A change of names: one, or two with a NUL between.
static int renamed(enum kind kind, const char *from, const char *to, int (*deed)(const char *, const char *)) {
    const char *old = inside(from), *new = to ? inside(to) : "";
    if (!old || !new) return deed(from, to);
    char names[8192];
    int size = snprintf(names, sizeof names, "%s", old);
    if (to) size += 1 + snprintf(names + size + 1, sizeof names - (size_t)size - 1, "%s", new);
    pthread_mutex_lock(&lock);
    int error = step(kind, -1, 0, 0, names, (size_t)size);
    int result = error ? -1 : deed(from, to);
    if (error) errno = error;
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

static int do_unlink(const char *from, const char *to) { (void)to; return (int)syscall(SYS_unlink, from); }
static int do_link(const char *from, const char *to) { return (int)syscall(SYS_link, from, to); }
static int do_rename(const char *from, const char *to) { return (int)syscall(SYS_rename, from, to); }

int unlink(const char *path) { return access(path, F_OK) ? do_unlink(path, NULL) : renamed(UNLINK, path, NULL, do_unlink); }
int link(const char *from, const char *to) { return renamed(LINK, from, to, do_link); }
int rename(const char *from, const char *to) { return renamed(RENAME, from, to, do_rename); }

// The machine's clock as somebody has set it; clocks that nobody sets are left alone.
int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    const char *path = clock == CLOCK_REALTIME && !result ? getenv("TROUPE_SHIM_CLOCK") : NULL;
    if (!path) return result;
    char text[32] = {0};
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return result;
    if (syscall(SYS_read, file, text, sizeof text - 1) > 0) {
        int64_t milliseconds = strtoll(text, NULL, 10);
        int64_t nanoseconds = time->tv_sec * 1000000000 + time->tv_nsec + milliseconds * 1000000;
        time->tv_sec = nanoseconds / 1000000000;
        time->tv_nsec = nanoseconds % 1000000000;
    }
    syscall(SYS_close, file);
    return result;
}
