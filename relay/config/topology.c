#include <string.h>

#include "base/memory.h"
#include "relay/config/load.h"

static void
problem_at(struct config_load *load, size_t section, const char *key, const char *words)
{
    const struct config_entry *const entry = config_load_entry(load, section, key);
    config_load_problem(load, section, entry == NULL ? 0 : entry->line, "%s", words);
}

static void
connect_broker(struct config_load *load, size_t section, const struct broker_config **ret_broker)
{
    if (config_load_entry(load, section, "broker") != NULL) {
        config_connect_broker(load, section, ret_broker);
    } else if (load->config->broker_count == 1) {
        *ret_broker = &load->config->brokers[0];
    } else if (load->config->broker_count > 1) {
        config_load_problem(load, section, 0,
                            "broker is missing: there are several, and it belongs to one");
    }
}

static bool
is_reserved(const char *name)
{
    return name[0] == '\0' || strncmp(name, "amq.", 4) == 0;
}

static void
check_name(struct config_load *load, size_t section, const char *name)
{
    if (is_reserved(name)) {
        problem_at(load, section, "name",
                   "the empty name and names that begin with \"amq.\" are the broker's own");
    }
}

/* Reports two sections for the same object of a broker: one of them would always differ. */
static void
check_twice(struct config_load *load, size_t section, const char *name,
            const struct broker_config *broker)
{
    const enum config_scope scope = load->scan.sections[section].scope;
    for (size_t i = 0; i < section; i++) {
        if (load->scan.sections[i].scope != scope) {
            continue;
        }
        const struct exchange_config *const exchange = load->targets[i];
        const struct queue_config *const queue = load->targets[i];
        const bool same = scope == CONFIG_EXCHANGE
                              ? exchange->broker == broker && strcmp(exchange->name, name) == 0
                              : queue->broker == broker && strcmp(queue->name, name) == 0;
        if (same && strcmp(load->scan.sections[i].title, load->scan.sections[section].title) != 0) {
            load->problems.file = load->scan.sections[section].file;
            char *const where = config_problems_line(&load->problems, load->scan.sections[i].file,
                                                     load->scan.sections[i].line);
            config_load_problem(load, section, 0, "\"%s\" is declared in %s already", name, where);
            memory_free(where);
            return;
        }
    }
}

static void
check_exchange(struct config_load *load, size_t section)
{
    struct exchange_config *const exchange = load->targets[section];
    connect_broker(load, section, &exchange->broker);
    check_name(load, section, exchange->name);
    check_twice(load, section, exchange->name, exchange->broker);
}

/* `dead_letter_queue` becomes AMQP's default exchange, where the routing key is the name of a queue. */
static void
resolve_dead_letter_queue(struct config_load *load, size_t section, struct queue_config *queue)
{
    if (queue->dead_letter_queue == NULL) {
        return;
    }
    if (queue->dead_letter_exchange != NULL || queue->dead_letter_routing_key != NULL) {
        problem_at(load, section, "dead_letter_queue",
                   "dead_letter_queue stands for dead_letter_exchange and "
                   "dead_letter_routing_key: give it alone, or these");
        return;
    }
    if (queue->dead_letter_queue[0] == '\0') {
        problem_at(load, section, "dead_letter_queue", "a queue has a name");
        return;
    }
    if (strcmp(queue->dead_letter_queue, queue->name) == 0) {
        problem_at(load, section, "dead_letter_queue",
                   "dead_letter_queue is the queue itself: its dead letters need another");
        return;
    }
    queue->dead_letter_exchange = memory_string("");
    queue->dead_letter_routing_key = memory_string(queue->dead_letter_queue);
}

static void
check_dead_letters(struct config_load *load, size_t section, const struct queue_config *queue)
{
    const bool limit_given = config_load_entry(load, section, "delivery_limit") != NULL;
    if (queue->dead_letter_exchange == NULL && queue->dead_letter_routing_key != NULL) {
        problem_at(load, section, "dead_letter_routing_key",
                   "dead_letter_routing_key needs a dead_letter_exchange");
    } else if (queue->dead_letter_exchange == NULL && limit_given && queue->delivery_limit > 0) {
        problem_at(load, section, "delivery_limit",
                   "delivery_limit needs a dead_letter_queue or a dead_letter_exchange: without "
                   "one the broker discards messages that reach the limit");
    } else if (queue->type == QUEUE_CLASSIC && limit_given && queue->delivery_limit > 0) {
        problem_at(load, section, "delivery_limit",
                   "delivery_limit is for quorum queues only: a classic queue does not count");
    }
}

static void
check_queue(struct config_load *load, size_t section)
{
    struct queue_config *const queue = load->targets[section];
    connect_broker(load, section, &queue->broker);
    check_name(load, section, queue->name);
    check_twice(load, section, queue->name, queue->broker);
    resolve_dead_letter_queue(load, section, queue);
    check_dead_letters(load, section, queue);
}

static void
check_binding(struct config_load *load, size_t section)
{
    struct binding_config *const binding = load->targets[section];
    connect_broker(load, section, &binding->broker);
    if (binding->exchange != NULL && binding->exchange[0] == '\0') {
        problem_at(load, section, "exchange",
                   "every queue is bound to AMQP's default exchange already, by its name");
    }
    if (binding->queue != NULL && binding->queue[0] == '\0') {
        problem_at(load, section, "queue", "a queue has a name");
    }
    for (size_t i = 0; i < load->config->exchange_count && binding->exchange != NULL; i++) {
        const struct exchange_config *const exchange = &load->config->exchanges[i];
        if (exchange->type == EXCHANGE_DIRECT && strcmp(exchange->name, binding->exchange) == 0 &&
            config_load_entry(load, section, "routing_key") == NULL) {
            config_load_problem(load, section, 0,
                                "routing_key is missing: exchange \"%s\" is a direct one",
                                exchange->name);
        }
    }
}

void
config_check_topology(struct config_load *load, size_t section)
{
    switch (load->scan.sections[section].scope) {
    case CONFIG_EXCHANGE:
        check_exchange(load, section);
        break;
    case CONFIG_QUEUE:
        check_queue(load, section);
        break;
    case CONFIG_BINDING:
        check_binding(load, section);
        break;
    case CONFIG_GLOBAL:
    case CONFIG_BROKER:
    case CONFIG_SOURCE:
    case CONFIG_HTTP:
        break;
    }
}
