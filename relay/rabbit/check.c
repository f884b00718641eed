#include <stdio.h>
#include <string.h>

#include "amqp/session.h"
#include "relay/rabbit/check.h"
#include "relay/rabbit/endpoint.h"
#include "relay/rabbit/fence.h"
#include "relay/rabbit/inquiry.h"
#include "relay/rabbit/topology.h"

static void
tell_over(struct report *report, const struct broker_config *broker, const struct inquiry *inquiry)
{
    const struct error *const error = &inquiry->error;
    if (inquiry->session == NULL) {
        report_problem(report, "broker \"%s\": %s", broker->name, error->text);
    } else if (error->class != ERROR_CONFIG && broker->endpoint->amqp.host_count > 1) {
        report_advice(report, "broker \"%s\": %s; see that it runs and listens there", broker->name,
                      error->text);
    } else if (error->class != ERROR_CONFIG) {
        report_problem(report, "broker \"%s\": %s; see that it runs and listens there",
                       broker->name, error->text);
    } else if (session_refused_by_tls(inquiry->session)) {
        report_problem(report, "broker \"%s\": %s; docs/TLS.md says what each word means",
                       broker->name, error->text);
    } else {
        report_problem(report,
                       "broker \"%s\": %s; see that user and password are right, that the virtual "
                       "host \"%s\" exists and that the user may enter it",
                       broker->name, error->text, broker->endpoint->amqp.vhost);
    }
}

struct asked {
    struct report *report;
    const struct broker_config *broker;
};

static void
on_finding(void *context, enum topology_finding finding, const char *words)
{
    const struct asked *const asked = context;
    struct report *const report = asked->report;
    const char *const broker = asked->broker->name;
    switch (finding) {
    case TOPOLOGY_THERE:
    case TOPOLOGY_MADE:
        report_ok(report, "broker \"%s\": %s", broker, words);
        break;
    case TOPOLOGY_UNSEEN:
        report_advice(report, "broker \"%s\": %s", broker, words);
        break;
    case TOPOLOGY_DIFFERS:
    case TOPOLOGY_LACKS:
        report_problem(report, "broker \"%s\": %s", broker, words);
        break;
    }
}

/* An exchange that the relay declares itself is checked with the other declared objects. */
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
check_exchange(struct report *report, struct inquiry *inquiry, const struct source_config *source)
{
    uint16_t channel;
    struct inquiry_answer answer;
    if (source->exchange[0] == '\0') {
        report_ok(report, "source \"%s\": default exchange is AMQP's, which is always there",
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
        report_ok(report, "source \"%s\": exchange \"%s\" is there", source->name,
                  source->exchange);
    } else {
        report_problem(
            report, "source \"%s\": exchange \"%s\": %s; declare it on the broker or name another",
            source->name, source->exchange, answer.text);
    }
    return true;
}

static bool
has_source(const struct config *config, const struct broker_config *broker)
{
    for (size_t i = 0; i < config->source_count; i++) {
        if (config->sources[i].broker == broker) {
            return true;
        }
    }
    return false;
}

/* By declaring one that no relay has. Where another check has it at this moment (405), it is allowed as well. False once the
 * connection is over. */
static bool
check_fence(struct report *report, struct inquiry *inquiry, const struct broker_config *broker)
{
    uint16_t channel;
    struct inquiry_answer answer;
    struct rabbit *const rabbit = inquiry_channel(inquiry, &channel);
    if (rabbit == NULL) {
        return false;
    }
    rabbit_queue_declare_exclusive(rabbit, channel, FENCE_PREFIX "check");
    if (!inquiry_answer(inquiry, &answer)) {
        return false;
    }
    if (answer.done || answer.code == FENCE_TAKEN) {
        report_ok(report, "broker \"%s\": a relay may have its fence there", broker->name);
    } else {
        report_advice(report,
                      "broker \"%s\": a relay publishes without a second fence there: %s; the "
                      "configure permission ^outbox-relay\\. allows it",
                      broker->name, answer.text);
    }
    return true;
}

/* "TLSv1.3, the certificate of … verified …", or "without TLS". */
static void
describe_tls(const struct session *session, const struct amqp_endpoint *endpoint, char *ret_text,
             size_t size)
{
    struct tls_peer peer;
    if (!session_tls_peer(session, &peer)) {
        (void)snprintf(ret_text, size, "without TLS"); /* fits */
    } else if (!endpoint->tls_verify) {
        (void)snprintf(ret_text, size, "%s, the certificate of \"%s\" verified by nobody",
                       peer.version, peer.subject); /* fits */
    } else {
        (void)snprintf(ret_text, size,
                       "%s, the certificate of \"%s\" verified: signed by \"%s\", known by %s%s",
                       peer.version, peer.subject, peer.issuer,
                       endpoint->ca_file == NULL ? "the system's authorities" : "cacertfile ",
                       endpoint->ca_file == NULL ? "" : endpoint->ca_file); /* cut is fine */
    }
}

/* Checks the objects that must exist on the broker. */
static bool
look_around(struct report *report, struct inquiry *inquiry, const struct config *config,
            const struct broker_config *broker)
{
    for (size_t i = 0; i < config->source_count; i++) {
        if (config->sources[i].broker == broker && !is_declared(config, &config->sources[i]) &&
            !check_exchange(report, inquiry, &config->sources[i])) {
            return false;
        }
    }
    if (has_source(config, broker) && !check_fence(report, inquiry, broker)) {
        return false;
    }
    struct asked asked = {report, broker};
    return topology_work(inquiry, config, broker, false, on_finding, &asked);
}

static bool
enter(struct report *report, struct inquiry *inquiry, const struct broker_config *of_host)
{
    char tls[800];
    if (!inquiry_open(inquiry, of_host, "outbox-relay check", -1)) {
        return false;
    }
    describe_tls(inquiry->session, &of_host->endpoint->amqp, tls, sizeof(tls));
    report_ok(report, "broker \"%s\": connected to %s, virtual host \"%s\", %s", of_host->name,
              session_peer(inquiry->session), of_host->endpoint->amqp.vhost, tls);
    return true;
}

/* Each host of the URI separately, so that a host that the relay would pass over is reported too. Only the first host
 * that can be entered is asked about its objects. */
void
check_broker(struct report *report, const struct config *config, const struct broker_config *broker)
{
    bool entered = false;
    for (unsigned i = 0; i < broker->endpoint->amqp.host_count; i++) {
        struct inquiry inquiry;
        struct broker_endpoint endpoint = *broker->endpoint; /* what these point to is borrowed */
        struct broker_config of_host = *broker;
        endpoint.amqp.hosts[0] = broker->endpoint->amqp.hosts[i];
        endpoint.amqp.host_count = 1;
        of_host.endpoint = &endpoint;
        const bool good = enter(report, &inquiry, &of_host);
        if (!good || (!entered && !look_around(report, &inquiry, config, broker))) {
            tell_over(report, broker, &inquiry);
        }
        entered |= good;
        inquiry_close(&inquiry);
    }
    if (!entered && broker->endpoint->amqp.host_count > 1) {
        report_problem(report, "broker \"%s\": no host of its uri lets the relay in", broker->name);
    }
}
