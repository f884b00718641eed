#include "relay/rabbit/inquiry.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "relay/config/password.h"
#include "relay/config/secret.h"
#include "relay/rabbit/endpoint.h"

/* Limit for all hosts of the URI and all questions. */
#define DEADLINE_US (60 * CLOCK_S_US)
#define HOST_TIMEOUT_US (5 * CLOCK_S_US)

static bool
fail(struct inquiry *self, const struct error *error)
{
    self->over = true;
    self->error = *error;
    return false;
}

/* Waits until the session has something to do. False if the time is over, or the caller wants to stop. */
static bool
wait_once(struct inquiry *self)
{
    const uint64_t now_us = clock_monotonic_us();
    struct error error;
    if (now_us >= self->deadline_us) {
        (void)error_set(&error, ERROR_TRANSIENT, "no answer");
        return fail(self, &error);
    }
    session_flush(self->session, now_us);
    uint64_t until_us = session_deadline_us(self->session);
    until_us = until_us < self->deadline_us ? until_us : self->deadline_us;
    struct pollfd waits[] = {
        {.fd = session_fd(self->session), .events = session_poll_events(self->session)},
        {.fd = self->stop_fd, .events = POLLIN},
    };
    if (poll(waits, 2, clock_poll_timeout_ms(now_us, until_us)) < 0) {
        waits[0].revents = 0; /* interrupted: look again */
        waits[1].revents = 0;
    }
    if (waits[1].revents != 0) {
        (void)error_set(&error, ERROR_TRANSIENT, "told to end");
        return fail(self, &error);
    }
    session_process(self->session, waits[0].revents, clock_monotonic_us());
    return true;
}

/* Waits for one of these two events; false once the connection is over. */
static bool
await(struct inquiry *self, enum rabbit_event_type good, enum rabbit_event_type bad,
      struct rabbit_event *ret_event)
{
    for (;;) {
        if (!session_next(self->session, ret_event)) {
            if (!wait_once(self)) {
                return false;
            }
        } else if (ret_event->type == RABBIT_CLOSED) {
            return fail(self, &ret_event->error);
        } else if (ret_event->type == good || ret_event->type == bad) {
            return true;
        }
    }
}

/* The time of the command bounds the wait. */
static bool
find_password(struct inquiry *self, const struct broker_config *broker, char **ret_password)
{
    struct error error;
    struct password password = {0};
    enum password_state state = password_begin(&password, &broker->password, ret_password, &error);
    while (state == PASSWORD_WAITS) {
        struct pollfd waits[] = {
            {.fd = password_fd(&password), .events = POLLIN},
            {.fd = self->stop_fd, .events = POLLIN},
        };
        if (poll(waits, 2, -1) > 0 && waits[1].revents != 0) {
            (void)error_set(&error, ERROR_TRANSIENT, "told to end"); /* always false */
            state = PASSWORD_FAILED;
        } else {
            state = password_look(&password, ret_password, &error);
        }
    }
    password_end(&password);
    return state == PASSWORD_HERE || fail(self, &error);
}

bool
inquiry_open(struct inquiry *self, const struct broker_config *broker, const char *name,
             int stop_fd)
{
    struct error error;
    char *password;
    *self = (struct inquiry){.stop_fd = stop_fd, .deadline_us = clock_monotonic_us() + DEADLINE_US};
    if (!find_password(self, broker, &password)) {
        return false;
    }
    const struct session_options options = {
        .endpoint = &broker->endpoint->amqp,
        .password = password,
        .connection_name = name,
        .heartbeat_s = broker->heartbeat_s,
        .connect_timeout_us = HOST_TIMEOUT_US,
    };
    self->session = session_new(&options, &error);
    config_secret_free(password);
    if (self->session == NULL) {
        return fail(self, &error);
    }
    struct rabbit_event event;
    session_open(self->session, clock_monotonic_us());
    return await(self, RABBIT_OPENED, RABBIT_OPENED, &event);
}

void
inquiry_close(struct inquiry *self)
{
    if (self->session != NULL) {
        session_free(self->session);
        self->session = NULL;
    }
}

struct rabbit *
inquiry_channel(struct inquiry *self, uint16_t *ret_channel)
{
    if (self->channel == 0 && !self->over) {
        struct rabbit_event event;
        rabbit_channel_open(session_rabbit(self->session), 1, false);
        if (await(self, RABBIT_CHANNEL_OPENED, RABBIT_CHANNEL_CLOSED, &event) &&
            event.type == RABBIT_CHANNEL_OPENED) {
            self->channel = 1;
        } else if (!self->over) {
            struct error error;
            (void)error_set(&error, ERROR_TRANSIENT, "the broker opens no channel: %.*s",
                            (int)event.text.size, (const char *)event.text.data);
            (void)fail(self, &error);
        }
    }
    *ret_channel = self->channel;
    return self->over ? NULL : session_rabbit(self->session);
}

bool
inquiry_answer(struct inquiry *self, struct inquiry_answer *ret_answer)
{
    struct rabbit_event event;
    *ret_answer = (struct inquiry_answer){0};
    if (!await(self, RABBIT_DONE, RABBIT_CHANNEL_CLOSED, &event)) {
        return false;
    }
    ret_answer->done = event.type == RABBIT_DONE;
    if (!ret_answer->done) {
        self->channel = 0;
        ret_answer->code = event.code;
        (void)snprintf(ret_answer->text, sizeof(ret_answer->text), "%.*s", (int)event.text.size,
                       (const char *)event.text.data); /* cut is fine */
    }
    return true;
}
