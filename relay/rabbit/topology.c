#include "relay/rabbit/topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amqp/table.h"
#include "base/memory.h"
#include "relay/config/problem.h" /* config_format */

/* AMQP's reply codes. */
#define ACCESS_REFUSED 403
#define NOT_FOUND 404
#define PRECONDITION_FAILED 406

#define ARGUMENTS_MAX 4096 /* of a queue: a handful of names and two texts of 255 bytes at most */

struct work {
    struct inquiry *inquiry;
    const struct config *config;
    const struct broker_config *broker;
    bool make;
    topology_tell tell;
    void *context;
};

/* One exchange, queue or binding: how to ask for it and how to create it. */
struct thing {
    char *name; /* in words: `queue "shipping"` */
    const void *of;
    void (*look)(struct rabbit *rabbit, uint16_t channel, const void *of);
    void (*make)(struct rabbit *rabbit, uint16_t channel, const void *of);
};

static bool
ask(struct work *work, void (*question)(struct rabbit *rabbit, uint16_t channel, const void *of),
    const void *of, struct inquiry_answer *ret_answer)
{
    uint16_t channel;
    struct rabbit *const rabbit = inquiry_channel(work->inquiry, &channel);
    if (rabbit == NULL) {
        return false;
    }
    question(rabbit, channel, of);
    return inquiry_answer(work->inquiry, ret_answer);
}

/* Takes the words over. */
static void
tell(const struct work *work, enum topology_finding finding, char *words)
{
    work->tell(work->context, finding, words);
    memory_free(words);
}

static void
tell_refused(const struct work *work, const struct thing *thing, enum topology_finding finding,
             const char *state, const struct inquiry_answer *answer)
{
    char *const rights =
        answer->code == ACCESS_REFUSED ? topology_rights(work->config, work->broker) : NULL;
    tell(work, finding,
         config_format("%s %s: %s%s%s", thing->name, state, answer->text,
                       rights == NULL ? "" : "; give the relay's user the rights: ",
                       rights == NULL ? "" : rights));
    memory_free(rights);
}

/* The object is missing: creates it, if wanted. */
static bool
make(struct work *work, const struct thing *thing, const struct inquiry_answer *missing)
{
    struct inquiry_answer answer;
    if (!work->make) {
        tell(work, TOPOLOGY_LACKS,
             config_format("%s is not there (%s); `outbox-relay init` makes it, and so does "
                           "`outbox-relay run` when it starts",
                           thing->name, missing->text));
        return true;
    }
    if (!ask(work, thing->make, thing->of, &answer)) {
        return false;
    }
    if (answer.done) {
        tell(work, TOPOLOGY_MADE, config_format("%s is there now", thing->name));
    } else {
        tell_refused(work, thing, TOPOLOGY_LACKS, "cannot be made", &answer);
    }
    return true;
}

/* The object exists: compares it by declaring it again. */
static bool
compare(struct work *work, const struct thing *thing)
{
    struct inquiry_answer answer;
    if (!ask(work, thing->make, thing->of, &answer)) {
        return false;
    }
    if (answer.done) {
        tell(work, TOPOLOGY_THERE, config_format("%s is there as configured", thing->name));
    } else if (answer.code == PRECONDITION_FAILED) {
        tell(work, TOPOLOGY_DIFFERS,
             config_format("%s is there, but otherwise than configured: %s; it stays as it is: "
                           "correct the configuration, or have it deleted and made anew",
                           thing->name, answer.text));
    } else {
        tell_refused(work, thing, TOPOLOGY_UNSEEN,
                     "is there, but the broker does not say whether as configured", &answer);
    }
    return true;
}

/* False once the connection is over. Takes the thing's name over. */
static bool
work_on(struct work *work, struct thing thing)
{
    struct inquiry_answer answer;
    bool good = ask(work, thing.look, thing.of, &answer);
    if (!good) {
    } else if (answer.done) {
        good = compare(work, &thing);
    } else if (answer.code == NOT_FOUND) {
        good = make(work, &thing, &answer);
    } else {
        tell_refused(work, &thing, TOPOLOGY_UNSEEN, "cannot be looked at", &answer);
    }
    memory_free(thing.name);
    return good;
}

static void
look_at_exchange(struct rabbit *rabbit, uint16_t channel, const void *of)
{
    const struct exchange_config *const exchange = of;
    rabbit_exchange_check(rabbit, channel, exchange->name);
}

static void
make_exchange(struct rabbit *rabbit, uint16_t channel, const void *of)
{
    static const char *const types[] = {
        [EXCHANGE_DIRECT] = "direct",
        [EXCHANGE_FANOUT] = "fanout",
        [EXCHANGE_TOPIC] = "topic",
    };
    const struct exchange_config *const exchange = of;
    rabbit_exchange_declare(rabbit, channel, exchange->name, types[exchange->type], true);
}

static struct span
text_span(const char *text)
{
    return (struct span){text, strlen(text)};
}

static bool
put_text(struct table_writer *writer, const char *name, const char *value)
{
    return value == NULL || table_put_string(writer, text_span(name), text_span(value));
}

/* A quorum queue dead-letters at least once only with x-overflow = reject-publish; without a length limit it never
 * refuses anything. */
static bool
put_dead_letters(struct table_writer *writer, const struct queue_config *queue)
{
    bool good = put_text(writer, "x-dead-letter-exchange", queue->dead_letter_exchange) &&
                put_text(writer, "x-dead-letter-routing-key", queue->dead_letter_routing_key);
    if (queue->type == QUEUE_QUORUM) {
        good = good && put_text(writer, "x-dead-letter-strategy", "at-least-once") &&
               put_text(writer, "x-overflow", "reject-publish");
        if (queue->delivery_limit > 0) {
            good =
                good && table_put_int(writer, text_span("x-delivery-limit"), queue->delivery_limit);
        }
    }
    return good;
}

static bool
put_arguments(struct table_writer *writer, const struct queue_config *queue)
{
    bool good =
        put_text(writer, "x-queue-type", queue->type == QUEUE_QUORUM ? "quorum" : "classic");
    if (queue->single_active_consumer) {
        good = good && table_put_bool(writer, text_span("x-single-active-consumer"), true);
    }
    return good && (queue->dead_letter_exchange == NULL || put_dead_letters(writer, queue));
}

static void
look_at_queue(struct rabbit *rabbit, uint16_t channel, const void *of)
{
    const struct queue_config *const queue = of;
    rabbit_queue_check(rabbit, channel, queue->name);
}

static void
make_queue(struct rabbit *rabbit, uint16_t channel, const void *of)
{
    const struct queue_config *const queue = of;
    struct buffer buffer;
    struct table_writer writer;
    buffer_init(&buffer, 0, ARGUMENTS_MAX);
    table_writer_init(&writer, &buffer);
    if (!put_arguments(&writer, queue)) {
        abort(); /* memory is out (base/memory.h), or a mistake above */
    }
    rabbit_queue_declare(rabbit, channel, queue->name, true,
                         (struct span){buffer_front(&buffer), buffer_size(&buffer)});
    buffer_done(&buffer);
}

static void
make_binding(struct rabbit *rabbit, uint16_t channel, const void *of)
{
    const struct binding_config *const binding = of;
    rabbit_queue_bind(rabbit, channel, binding->queue, binding->exchange, binding->routing_key);
}

/* Binding twice does no harm, so it is done without asking first. */
static bool
bind(struct work *work, const struct binding_config *binding)
{
    struct inquiry_answer answer;
    struct thing thing = {
        .name = config_format("binding of queue \"%s\" to exchange \"%s\" with \"%s\"",
                              binding->queue, binding->exchange, binding->routing_key)};
    bool good = true;
    if (!work->make) {
        tell(work, TOPOLOGY_THERE,
             config_format("%s is made whenever the relay starts (AMQP has no question for it)",
                           thing.name));
    } else if (!ask(work, make_binding, binding, &answer)) {
        good = false;
    } else if (answer.done) {
        tell(work, TOPOLOGY_THERE, config_format("%s is there", thing.name));
    } else {
        tell_refused(work, &thing, TOPOLOGY_LACKS, "cannot be made", &answer);
    }
    memory_free(thing.name);
    return good;
}

bool
topology_any(const struct config *config, const struct broker_config *broker)
{
    bool any = false;
    for (size_t i = 0; i < config->exchange_count; i++) {
        any |= config->exchanges[i].broker == broker;
    }
    for (size_t i = 0; i < config->queue_count; i++) {
        any |= config->queues[i].broker == broker;
    }
    for (size_t i = 0; i < config->binding_count; i++) {
        any |= config->bindings[i].broker == broker;
    }
    return any;
}

static bool
work_on_exchange(struct work *work, const struct exchange_config *exchange)
{
    return exchange->broker != work->broker ||
           work_on(work, (struct thing){config_format("exchange \"%s\"", exchange->name), exchange,
                                        look_at_exchange, make_exchange});
}

static bool
work_on_queue(struct work *work, const struct queue_config *queue)
{
    return queue->broker != work->broker ||
           work_on(work, (struct thing){config_format("queue \"%s\"", queue->name), queue,
                                        look_at_queue, make_queue});
}

bool
topology_work(struct inquiry *inquiry, const struct config *config,
              const struct broker_config *broker, bool make_them, topology_tell tell_of,
              void *context)
{
    struct work work = {inquiry, config, broker, make_them, tell_of, context};
    bool good = true;
    for (size_t i = 0; good && i < config->exchange_count; i++) {
        good = work_on_exchange(&work, &config->exchanges[i]);
    }
    for (size_t i = 0; good && i < config->queue_count; i++) {
        good = work_on_queue(&work, &config->queues[i]);
    }
    for (size_t i = 0; good && i < config->binding_count; i++) {
        if (config->bindings[i].broker == broker) {
            good = bind(&work, &config->bindings[i]);
        }
    }
    return good;
}
