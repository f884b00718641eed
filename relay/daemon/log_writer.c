#include "relay/daemon/log_writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* About 4,000 lines: as many as a burst of refusals logs while a reader is not scheduled. Pages that no burst has
 * reached cost nothing. */
#define BUFFER_BYTES ((size_t)1 << 20)
#define TELL_BYTES 512

struct log_writer {
    int fd;
    log_writer_tell *tell;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the fields below; never held during a write */
    pthread_cond_t work;   /* something to write, or the end */
    pthread_cond_t idle;   /* all is written */
    bool ending;
    bool busy; /* the thread is writing */
    /* Lines from `begin` to `end`; both go back to 0 when all are written, so the thread can write without the mutex
     * while others put lines behind. */
    size_t begin;
    size_t end;
    uint64_t dropped; /* not reported yet; while it is not 0, every new line is dropped */
    char buffer[BUFFER_BYTES];
};

/* False if the write fails. If somebody made the descriptor non-blocking, it is waited for. */
static bool
write_line(int fd, const char *line, size_t size)
{
    while (size > 0) {
        const ssize_t written = write(fd, line, size);
        if (written >= 0) {
            line += written;
            size -= (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            (void)poll(&ready, 1, -1); /* the next write tells */
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static size_t
line_size(const char *from, size_t size)
{
    const char *const newline = memchr(from, '\n', size);
    return newline == NULL ? size : (size_t)(newline - from) + 1;
}

/* Called with the mutex, which is released during the write. */
static void
write_front(struct log_writer *self)
{
    const char *const line = self->buffer + self->begin;
    const size_t size = line_size(line, self->end - self->begin);
    (void)pthread_mutex_unlock(&self->mutex); /* cannot fail: it is ours */
    const bool written = write_line(self->fd, line, size);
    (void)pthread_mutex_lock(&self->mutex); /* cannot fail: no thread locks it twice */
    self->dropped += written ? 0 : 1;
    self->begin += size;
    if (self->begin == self->end) {
        self->begin = self->end = 0;
    }
}

/* Called like write_front. False if the line cannot be written now: then the next dropped line starts the next attempt. */
static bool
tell_dropped(struct log_writer *self)
{
    char line[TELL_BYTES];
    const uint64_t dropped = self->dropped;
    self->dropped = 0;
    (void)pthread_mutex_unlock(&self->mutex); /* as above */
    const bool written = write_line(self->fd, line, self->tell(line, sizeof(line), dropped));
    (void)pthread_mutex_lock(&self->mutex); /* as above */
    self->dropped += written ? 0 : dropped;
    return written;
}

static void
write_all(struct log_writer *self)
{
    bool told = true;
    self->busy = true;
    while (self->end > 0 || (self->dropped > 0 && told)) {
        if (self->end > 0) {
            write_front(self);
        } else {
            told = tell_dropped(self);
        }
    }
    self->busy = false;
    (void)pthread_cond_broadcast(&self->idle); /* cannot fail */
}

static void *
work(void *context)
{
    struct log_writer *const self = context;
    (void)pthread_mutex_lock(&self->mutex); /* as above */
    for (;;) {
        write_all(self);
        if (self->ending) {
            break;
        }
        (void)pthread_cond_wait(&self->work, &self->mutex); /* cannot fail: it is ours */
    }
    (void)pthread_mutex_unlock(&self->mutex); /* as above */
    return NULL;
}

/* A thread inherits the signal mask of its creator. */
static int
create_thread(struct log_writer *self)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);                            /* cannot fail */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* cannot fail with a valid `how` */
    const int failure = pthread_create(&self->thread, NULL, work, self);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* as above */
    return failure;
}

struct log_writer *
log_writer_start(int fd, log_writer_tell *tell, struct error *reterr)
{
    struct log_writer *const self = calloc(1, sizeof(*self));
    if (self == NULL) {
        (void)error_set(reterr, ERROR_TRANSIENT, "out of memory");
        return NULL;
    }
    self->fd = fd;
    self->tell = tell;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic); /* these cannot fail on Linux with valid values */
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&self->mutex, NULL);
    (void)pthread_cond_init(&self->work, NULL);
    (void)pthread_cond_init(&self->idle, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    const int failure = create_thread(self);
    if (failure != 0) {
        (void)error_set(reterr, ERROR_TRANSIENT, "no thread for the log: %s", strerror(failure));
        free(self);
        return NULL;
    }
    return self;
}

void
log_writer_put(struct log_writer *self, const char *line, size_t size)
{
    (void)pthread_mutex_lock(&self->mutex); /* as above */
    if (self->dropped > 0 || size > BUFFER_BYTES - self->end) {
        self->dropped++;
    } else {
        memcpy(self->buffer + self->end, line, size);
        self->end += size;
    }
    (void)pthread_cond_signal(&self->work);   /* cannot fail */
    (void)pthread_mutex_unlock(&self->mutex); /* as above */
}

static struct timespec
monotonic_after(uint64_t us)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at); /* cannot fail with this clock */
    const uint64_t ns = (uint64_t)at.tv_nsec + us % CLOCK_S_US * 1000;
    at.tv_sec += (time_t)(us / CLOCK_S_US + ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    return at;
}

bool
log_writer_flush(struct log_writer *self, uint64_t patience_us)
{
    const struct timespec deadline = monotonic_after(patience_us);
    int waited = 0;
    (void)pthread_mutex_lock(&self->mutex); /* as above */
    while ((self->busy || self->end > 0) && waited == 0) {
        waited = pthread_cond_timedwait(&self->idle, &self->mutex, &deadline);
    }
    const bool written = !self->busy && self->end == 0;
    (void)pthread_mutex_unlock(&self->mutex); /* as above */
    return written;
}

void
log_writer_free(struct log_writer *self)
{
    if (self == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&self->mutex); /* as above */
    self->ending = true;
    (void)pthread_cond_signal(&self->work);   /* cannot fail */
    (void)pthread_mutex_unlock(&self->mutex); /* as above */
    (void)pthread_join(self->thread, NULL);   /* cannot fail: it is ours, and joined once */
    (void)pthread_cond_destroy(&self->idle);  /* these cannot fail: nobody uses them */
    (void)pthread_cond_destroy(&self->work);
    (void)pthread_mutex_destroy(&self->mutex);
    free(self);
}
