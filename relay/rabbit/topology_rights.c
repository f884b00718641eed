#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "relay/config/problem.h" /* config_format */
#include "relay/rabbit/endpoint.h"
#include "relay/rabbit/topology.h"

/* Appends `more` to `text`: frees `text` and gives a new string. */
static char *
append(char *text, const char *more)
{
    char *const longer = config_format("%s%s", text, more);
    memory_free(text);
    return longer;
}

/* Quotes a text as one word of a shell. */
static char *
quoted(const char *text)
{
    char *word = memory_string("'");
    for (; *text != '\0'; text++) {
        const char letter[] = {*text, '\0'};
        word = append(word, *text == '\'' ? "'\\''" : letter);
    }
    return append(word, "'");
}

/* A set of names that become the alternatives of a regular expression. */
struct names {
    const char *list[3 * 64]; /* more than that: the rest is left out, and refused again */
    size_t count;
    bool fences; /* and the queues of fence.h */
};

static void
add(struct names *names, const char *name)
{
    const char *const known = name[0] == '\0' ? "amq.default" : name; /* as rights call it */
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i], known) == 0) {
            return;
        }
    }
    if (names->count < sizeof(names->list) / sizeof(names->list[0])) {
        names->list[names->count++] = known;
    }
}

static char *
pattern_of(const struct names *names)
{
    const bool any = names->count > 0 || names->fences;
    char *pattern = memory_string(any ? "^(" : "^");
    for (size_t i = 0; i < names->count; i++) {
        pattern = append(pattern, i == 0 ? "" : "|");
        for (const char *at = names->list[i]; *at != '\0'; at++) {
            const char letter[] = {*at, '\0'};
            pattern = append(pattern, strchr("\\.^$|()[]{}*+?", *at) != NULL ? "\\" : "");
            pattern = append(pattern, letter);
        }
    }
    if (names->fences) {
        pattern = append(pattern, names->count == 0 ? "" : "|");
        pattern = append(pattern, "outbox-relay\\..*");
    }
    pattern = append(pattern, any ? ")$" : "$");
    char *const word = quoted(pattern);
    memory_free(pattern);
    return word;
}

static void
add_bindings(const struct config *config, const struct broker_config *broker, struct names *write,
             struct names *read)
{
    for (size_t i = 0; i < config->binding_count; i++) {
        if (config->bindings[i].broker == broker) {
            add(write, config->bindings[i].queue);
            add(read, config->bindings[i].exchange);
        }
    }
}

/* Dead-lettering needs the right to read the queue and to write to its target. */
static void
add_queues(const struct config *config, const struct broker_config *broker, struct names *configure,
           struct names *write, struct names *read)
{
    for (size_t i = 0; i < config->queue_count; i++) {
        const struct queue_config *const queue = &config->queues[i];
        if (queue->broker != broker) {
            continue;
        }
        add(configure, queue->name);
        if (queue->dead_letter_exchange != NULL) {
            add(read, queue->name);
            add(write, queue->dead_letter_exchange);
        }
    }
}

char *
topology_rights(const struct config *config, const struct broker_config *broker)
{
    struct names configure = {.count = 0};
    struct names write = {.count = 0};
    struct names read = {.count = 0};
    for (size_t i = 0; i < config->source_count; i++) {
        if (config->sources[i].broker == broker) {
            add(&write, config->sources[i].exchange);
            configure.fences = true;
        }
    }
    for (size_t i = 0; i < config->exchange_count; i++) {
        if (config->exchanges[i].broker == broker) {
            add(&configure, config->exchanges[i].name);
        }
    }
    add_queues(config, broker, &configure, &write, &read);
    add_bindings(config, broker, &write, &read);
    char *const words[] = {quoted(broker->endpoint->amqp.vhost),
                           quoted(broker->endpoint->amqp.user), pattern_of(&configure),
                           pattern_of(&write), pattern_of(&read)};
    char *const command = config_format("rabbitmqctl set_permissions -p %s %s %s %s %s", words[0],
                                        words[1], words[2], words[3], words[4]);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        memory_free(words[i]);
    }
    return command;
}
