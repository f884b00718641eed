#include "relay/daemon/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay/daemon/control.h"

static const struct {
    const char *word;
    enum control_answer answer;
} answers[] = {
    {CONTROL_IN_FORCE, CONTROL_ANSWER_IN_FORCE}, {CONTROL_FAILED, CONTROL_ANSWER_FAILED},
    {CONTROL_REFUSED, CONTROL_ANSWER_REFUSED},   {CONTROL_STOPPING, CONTROL_ANSWER_STOPPING},
    {CONTROL_AFTER, CONTROL_ANSWER_SUPERSEDED},
};

struct ask {
    int fd;
    uint64_t deadline_us;
    void (*take)(void *context, bool problem, const char *text);
    void *context;
    char packet[CONTROL_PACKET_BYTES];
};

static bool
call(int fd, const char *path, struct error *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return error_set(reterr, ERROR_CONFIG, "the path %s is too long for a socket", path);
    }
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path); /* fits */
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return error_set(reterr, ERROR_CONNECTION,
                         errno == ENOENT || errno == ECONNREFUSED
                             ? "no relay answers at %s (%s): it does not run, or was started "
                               "without this `control`"
                             : "%s: %s",
                         path, strerror(errno));
    }
    return send(fd, CONTROL_REQUEST, strlen(CONTROL_REQUEST), MSG_NOSIGNAL) > 0 ||
           error_set(reterr, ERROR_CONNECTION, "%s: %s", path, strerror(errno));
}

/* The next packet. False with *ret_late, or with *reterr. */
static bool
receive(struct ask *ask, bool *ret_late, struct error *reterr)
{
    *ret_late = false;
    for (;;) {
        const uint64_t now_us = clock_monotonic_us();
        struct pollfd wait = {.fd = ask->fd, .events = POLLIN};
        if (now_us >= ask->deadline_us) {
            *ret_late = true;
            return false;
        }
        if (poll(&wait, 1, clock_poll_timeout_ms(now_us, ask->deadline_us)) <= 0) {
            continue;
        }
        const ssize_t size = recv(ask->fd, ask->packet, sizeof(ask->packet) - 1, 0);
        if (size > 0) {
            ask->packet[size] = '\0';
            return true;
        }
        if (size == 0 || errno != EINTR) {
            return error_set(reterr, ERROR_CONNECTION, "the relay went away without an answer");
        }
    }
}

/* The text behind the word, or NULL if the packet begins with another one. */
static const char *
text_after(const char *packet, const char *word)
{
    const size_t length = strlen(word);
    return strncmp(packet, word, length) == 0 && packet[length] == ' ' ? packet + length + 1 : NULL;
}

/* True if that was the last one. */
static bool
understand(struct ask *ask, enum control_answer *ret_answer)
{
    const char *text = text_after(ask->packet, CONTROL_PROBLEM);
    if (text != NULL) {
        ask->take(ask->context, true, text);
        return false;
    }
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        text = text_after(ask->packet, answers[i].word);
        if (text != NULL) {
            ask->take(ask->context, false, text);
            *ret_answer = answers[i].answer;
            return true;
        }
    }
    return false; /* of another version */
}

static bool
converse(struct ask *ask, enum control_answer *ret_answer, struct error *reterr)
{
    bool late;
    do {
        if (!receive(ask, &late, reterr)) {
            *ret_answer = CONTROL_ANSWER_LATE;
            return late;
        }
    } while (!understand(ask, ret_answer));
    return true;
}

bool
control_ask(const char *path, uint64_t timeout_us,
            void (*take)(void *context, bool problem, const char *text), void *context,
            enum control_answer *ret_answer, struct error *reterr)
{
    struct ask ask = {
        .fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0),
        .deadline_us = clock_monotonic_us() + timeout_us,
        .take = take,
        .context = context,
    };
    if (ask.fd < 0) {
        return error_set(reterr, ERROR_TRANSIENT, "socket: %s", strerror(errno));
    }
    const bool good = call(ask.fd, path, reterr) && converse(&ask, ret_answer, reterr);
    (void)close(ask.fd); /* nothing is left to send */
    return good;
}
