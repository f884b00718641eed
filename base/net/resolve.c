#include "base/net/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* getaddrinfo_a would do the same with two threads, and its notification cannot be withdrawn. */
struct resolve {
    atomic_int holders; /* who asked, and the thread; the last one frees */
    atomic_bool done;
    int event_fd;
    int result;
    int result_errno;
    struct addrinfo *addresses;
    char service[8];
    char name[];
};

static void
release(struct resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->holders, 1) > 1) {
        return;
    }
    if (resolve->addresses != NULL) {
        freeaddrinfo(resolve->addresses);
    }
    close(resolve->event_fd);
    free(resolve);
}

static void
look_up(struct resolve *resolve, int flags)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = flags | AI_NUMERICSERV,
    };
    resolve->result = getaddrinfo(resolve->name, resolve->service, &hints, &resolve->addresses);
    resolve->result_errno = errno;
}

static void
finish(struct resolve *resolve)
{
    atomic_store(&resolve->done, true);
    const uint64_t one = 1;
    /* An eventfd that counts to one cannot be full. */
    (void)!write(resolve->event_fd, &one, sizeof(one));
}

static void *
look_up_thread(void *argument)
{
    struct resolve *resolve = argument;
    look_up(resolve, 0);
    finish(resolve);
    release(resolve);
    return NULL;
}

/* Detached and with all signals blocked: they belong to the program's own threads. */
static bool
start_thread(struct resolve *resolve)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setsigmask_np(&attributes, &all);
    atomic_fetch_add(&resolve->holders, 1);
    const int result = pthread_create(&thread, &attributes, look_up_thread, resolve);
    pthread_attr_destroy(&attributes);
    if (result != 0) {
        atomic_fetch_sub(&resolve->holders, 1);
    }
    return result == 0;
}

struct resolve *
resolve_start(const char *name, uint16_t port, struct error *reterr)
{
    const size_t length = strlen(name);
    struct resolve *resolve = calloc(1, sizeof(*resolve) + length + 1);
    if (resolve == NULL) {
        error_set(reterr, ERROR_TRANSIENT, "out of memory");
        return NULL;
    }
    atomic_init(&resolve->holders, 1);
    memcpy(resolve->name, name, length + 1);
    (void)snprintf(resolve->service, sizeof(resolve->service), "%u", port);
    resolve->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolve->event_fd < 0) {
        error_set(reterr, ERROR_TRANSIENT, "cannot make an eventfd: %s", strerror(errno));
        free(resolve);
        return NULL;
    }
    look_up(resolve, AI_NUMERICHOST);
    if (resolve->result != EAI_NONAME) {
        finish(resolve);
    } else if (!start_thread(resolve)) {
        error_set(reterr, ERROR_TRANSIENT, "cannot start a thread for the name look-up");
        release(resolve);
        return NULL;
    }
    return resolve;
}

void
resolve_free(struct resolve *resolve)
{
    if (resolve != NULL) {
        release(resolve);
    }
}

int
resolve_fd(const struct resolve *resolve)
{
    return resolve->event_fd;
}

bool
resolve_take(struct resolve *resolve, struct addrinfo **ret_addresses, struct error *reterr)
{
    if (!atomic_load(&resolve->done)) {
        return false;
    }
    *ret_addresses = NULL;
    if (resolve->result != 0) {
        error_set(reterr, ERROR_CONNECTION, "cannot look up the name: %s",
                  resolve->result == EAI_SYSTEM ? strerror(resolve->result_errno)
                                                : gai_strerror(resolve->result));
        return true;
    }
    *ret_addresses = resolve->addresses;
    resolve->addresses = NULL;
    return true;
}
