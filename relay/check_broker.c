#include <errno.h>
#include <poll.h>
#include <string.h>

#include "amqp/session.h"
#include "base/clock.h"
#include "relay/check.h"
#include "relay/config_secret.h"

/* For all hosts of the URI and what is asked then. */
#define DEADLINE_US (60 * CLOCK_S_US)
#define HOST_TIMEOUT_US (5 * CLOCK_S_US)

struct inquiry {
    struct check *check;
    const struct broker_config *broker;
    struct session *session;
    uint64_t deadline_us;
    bool closed; /* nothing more can be asked; reported */
};

static void
report_closed(struct inquiry *self, const struct error *error)
{
    self->closed = true;
    if (error->class == ERROR_CONFIG) {
        check_problem(self->check,
                      "broker \"%s\": %s; see that user and password are right, that the virtual "
                      "host \"%s\" exists and that the user may enter it",
                      self->broker->name, error->text, self->broker->endpoint.vhost);
    } else {
        check_problem(self->check, "broker \"%s\": %s; see that it runs and listens there",
                      self->broker->name, error->text);
    }
}

/* The next event, whatever it is; false once the connection is over, which was reported. */
static bool
next_event(struct inquiry *self, struct rabbit_event *ret_event)
{
    while (!session_next(self->session, ret_event)) {
        const uint64_t now_us = clock_monotonic_us();
        struct error error;
        if (now_us >= self->deadline_us) {
            (void)error_set(&error, ERROR_TRANSIENT, "no answer");
            report_closed(self, &error);
            return false;
        }
        session_flush(self->session, now_us);
        uint64_t until_us = session_deadline_us(self->session);
        until_us = until_us < self->deadline_us ? until_us : self->deadline_us;
        struct pollfd wait = {.fd = session_fd(self->session),
                              .events = session_poll_events(self->session)};
        if (poll(&wait, 1, clock_poll_timeout_ms(now_us, until_us)) < 0) {
            wait.revents = 0; /* interrupted: look again */
        }
        session_process(self->session, wait.revents, clock_monotonic_us());
    }
    if (ret_event->type == RABBIT_CLOSED) {
        report_closed(self, &ret_event->error);
        return false;
    }
    return true;
}

/* Waits for one of these two; false once the connection is over. */
static bool
await(struct inquiry *self, enum rabbit_event_type good, enum rabbit_event_type bad,
      struct rabbit_event *ret_event)
{
    do {
        if (!next_event(self, ret_event)) {
            return false;
        }
    } while (ret_event->type != good && ret_event->type != bad);
    return true;
}

static void
check_exchange(struct inquiry *self, const struct source_config *source)
{
    const uint16_t channel = 1; /* a broker that refuses closes it, so it is opened for each */
    struct rabbit_event event;
    if (source->exchange[0] == '\0') {
        check_ok(self->check, "source \"%s\": default exchange is AMQP's, which is always there",
                 source->name);
        return;
    }
    rabbit_channel_open(session_rabbit(self->session), channel, false);
    if (!await(self, RABBIT_CHANNEL_OPENED, RABBIT_CHANNEL_CLOSED, &event)) {
        return;
    }
    rabbit_exchange_check(session_rabbit(self->session), channel, source->exchange);
    if (!await(self, RABBIT_DONE, RABBIT_CHANNEL_CLOSED, &event)) {
        return;
    }
    if (event.type == RABBIT_DONE) {
        check_ok(self->check, "source \"%s\": exchange \"%s\" is there", source->name,
                 source->exchange);
    } else {
        check_problem(self->check,
                      "source \"%s\": exchange \"%s\": %.*s; declare it on the broker or "
                      "name another",
                      source->name, source->exchange, (int)event.text.size,
                      (const char *)event.text.data);
    }
}

static void
inquire(struct inquiry *self, const struct config *config)
{
    struct rabbit_event event;
    session_open(self->session, clock_monotonic_us());
    if (!await(self, RABBIT_OPENED, RABBIT_OPENED, &event)) {
        return;
    }
    check_ok(self->check, "broker \"%s\": connected to %s, virtual host \"%s\"", self->broker->name,
             session_peer(self->session), self->broker->endpoint.vhost);
    for (size_t i = 0; i < config->source_count && !self->closed; i++) {
        if (config->sources[i].broker == self->broker) {
            check_exchange(self, &config->sources[i]);
        }
    }
}

void
check_broker(struct check *check, const struct config *config, const struct broker_config *broker)
{
    struct error error;
    char *password;
    if (!config_secret_read_any(broker->password_file, &password, &error)) {
        check_problem(check, "broker \"%s\": %s", broker->name, error.text);
        return;
    }
    const struct session_options options = {
        .endpoint = &broker->endpoint,
        .password = password,
        .connection_name = "outbox-relay check",
        .heartbeat_s = broker->heartbeat_s,
        .connect_timeout_us = HOST_TIMEOUT_US,
    };
    struct inquiry self = {.check = check,
                           .broker = broker,
                           .session = session_new(&options, &error),
                           .deadline_us = clock_monotonic_us() + DEADLINE_US};
    config_secret_free(password);
    if (self.session == NULL) {
        check_problem(check, "broker \"%s\": %s", broker->name, error.text);
        return;
    }
    inquire(&self, config);
    session_free(self.session);
}
