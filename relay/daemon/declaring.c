#include "relay/daemon/declaring.h"

#include <string.h>

#include "base/memory.h"
#include "relay/daemon/declarer.h"
#include "relay/daemon/log.h"
#include "relay/rabbit/topology.h"

struct item {
    struct declarer *declarer; /* NULL: nothing is to be declared */
    const char *broker;        /* its name; NULL: of an earlier configuration, and to end */
    bool told;
};

struct declaring {
    int wake_fd;
    struct config *config;
    struct item *items;
    size_t count;
};

struct declaring *
declaring_new(int wake_fd)
{
    struct declaring *const self = memory_array(1, sizeof(*self));
    self->wake_fd = wake_fd;
    return self;
}

static void
retire(struct declaring *self)
{
    for (size_t i = 0; i < self->count; i++) {
        struct item *const item = &self->items[i];
        if (item->broker != NULL && item->declarer != NULL) {
            declarer_stop(item->declarer);
        }
        item->broker = NULL;
    }
}

/* Joins those that have ended, or all of them. */
static void
join(struct declaring *self, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        struct item *const item = &self->items[i];
        if (item->declarer != NULL && (all || declarer_finished(item->declarer))) {
            declarer_join(item->declarer);
            item->declarer = NULL;
        }
        if (item->declarer != NULL || item->broker != NULL) {
            self->items[kept++] = *item;
        }
    }
    self->count = kept;
}

static struct item
begin(const struct declaring *self, const struct broker_config *broker)
{
    struct error error;
    struct item item = {.broker = broker->name};
    if (topology_any(self->config, broker)) {
        item.declarer = declarer_start(self->config, broker, self->wake_fd, &error);
        if (item.declarer == NULL) {
            log_error("topology_failed", LOG_WORDS("exchanges and queues cannot be declared"),
                      LOG_STR("broker", broker->name), LOG_CAUSE(&error));
        }
    }
    return item;
}

void
declaring_follow(struct declaring *self, struct config *config)
{
    struct config *const before = self->config;
    self->config = config_ref(config);
    retire(self);
    join(self, false);
    struct item *const items = memory_array(self->count + config->broker_count, sizeof(*items));
    for (size_t i = 0; i < self->count; i++) {
        items[i] = self->items[i];
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        items[self->count++] = begin(self, &config->brokers[i]);
    }
    memory_free(self->items);
    self->items = items;
    config_free(before);
}

static bool
is_tried(const struct item *item)
{
    return item->declarer == NULL || declarer_tried(item->declarer);
}

const char *
declaring_next(struct declaring *self)
{
    for (size_t i = 0; i < self->count; i++) {
        struct item *const item = &self->items[i];
        if (item->broker != NULL && !item->told && is_tried(item)) {
            item->told = true;
            return item->broker;
        }
    }
    return NULL;
}

bool
declaring_is_settled(const struct declaring *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->items[i].broker != NULL && !self->items[i].told) {
            return false;
        }
    }
    return true;
}

bool
declaring_has_told(const struct declaring *self, const char *broker)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct item *const item = &self->items[i];
        if (item->broker != NULL && item->told && strcmp(item->broker, broker) == 0) {
            return true;
        }
    }
    return false;
}

void
declaring_work(struct declaring *self)
{
    join(self, false);
}

void
declaring_free(struct declaring *self)
{
    if (self != NULL) {
        retire(self);
        join(self, true);
        config_free(self->config);
        memory_free(self->items);
    }
    memory_free(self);
}
