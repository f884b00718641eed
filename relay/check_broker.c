#include <string.h>

#include "amqp/session.h"
#include "relay/check.h"
#include "relay/inquiry.h"
#include "relay/topology.h"

static void
report_over(struct check *check, const struct broker_config *broker, const struct error *error)
{
    if (error->class == ERROR_CONFIG) {
        check_problem(check,
                      "broker \"%s\": %s; see that user and password are right, that the virtual "
                      "host \"%s\" exists and that the user may enter it",
                      broker->name, error->text, broker->endpoint.vhost);
    } else {
        check_problem(check, "broker \"%s\": %s; see that it runs and listens there", broker->name,
                      error->text);
    }
}

struct asked {
    struct check *check;
    const struct broker_config *broker;
};

static void
on_finding(void *context, enum topology_finding finding, const char *words)
{
    const struct asked *const asked = context;
    struct check *const check = asked->check;
    const char *const broker = asked->broker->name;
    switch (finding) {
    case TOPOLOGY_THERE:
    case TOPOLOGY_MADE:
        check_ok(check, "broker \"%s\": %s", broker, words);
        break;
    case TOPOLOGY_UNSEEN:
        check_advice(check, "broker \"%s\": %s", broker, words);
        break;
    case TOPOLOGY_DIFFERS:
    case TOPOLOGY_LACKS:
        check_problem(check, "broker \"%s\": %s", broker, words);
        break;
    }
}

/* One that the relay declares itself is looked at with what it declares. */
static bool
is_declared(const struct config *config, const struct source_config *source)
{
    for (size_t i = 0; i < config->exchange_count; i++) {
        if (config->exchanges[i].broker == source->broker &&
            strcmp(config->exchanges[i].name, source->exchange) == 0) {
            return true;
        }
    }
    return false;
}

/* False once the connection is over. */
static bool
check_exchange(struct check *check, struct inquiry *inquiry, const struct source_config *source)
{
    uint16_t channel;
    struct inquiry_answer answer;
    if (source->exchange[0] == '\0') {
        check_ok(check, "source \"%s\": default exchange is AMQP's, which is always there",
                 source->name);
        return true;
    }
    struct rabbit *const rabbit = inquiry_channel(inquiry, &channel);
    if (rabbit == NULL) {
        return false;
    }
    rabbit_exchange_check(rabbit, channel, source->exchange);
    if (!inquiry_answer(inquiry, &answer)) {
        return false;
    }
    if (answer.done) {
        check_ok(check, "source \"%s\": exchange \"%s\" is there", source->name, source->exchange);
    } else {
        check_problem(
            check, "source \"%s\": exchange \"%s\": %s; declare it on the broker or name another",
            source->name, source->exchange, answer.text);
    }
    return true;
}

static bool
inquire(struct check *check, struct inquiry *inquiry, const struct config *config,
        const struct broker_config *broker)
{
    if (!inquiry_open(inquiry, broker, "outbox-relay check", -1)) {
        return false;
    }
    check_ok(check, "broker \"%s\": connected to %s, virtual host \"%s\"", broker->name,
             session_peer(inquiry->session), broker->endpoint.vhost);
    for (size_t i = 0; i < config->source_count; i++) {
        if (config->sources[i].broker == broker && !is_declared(config, &config->sources[i]) &&
            !check_exchange(check, inquiry, &config->sources[i])) {
            return false;
        }
    }
    struct asked asked = {check, broker};
    return topology_work(inquiry, config, broker, false, on_finding, &asked);
}

void
check_broker(struct check *check, const struct config *config, const struct broker_config *broker)
{
    struct inquiry inquiry;
    const bool good = inquire(check, &inquiry, config, broker);
    if (!good && inquiry.session == NULL) {
        check_problem(check, "broker \"%s\": %s", broker->name, inquiry.error.text);
    } else if (!good) {
        report_over(check, broker, &inquiry.error);
    }
    inquiry_close(&inquiry);
}
