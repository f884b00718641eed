#include "relay/daemon/discovering.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/config/template.h"
#include "relay/config/tenants.h"
#include "relay/daemon/discoverer.h"
#include "relay/daemon/log.h"
#include "relay/daemon/outage.h"

/* How long to wait for threads at the end. */
#define END_US CLOCK_S_US

/* One template. */
struct item {
    const struct source_template *template;
    struct discoverer *discoverer; /* NULL: it could not be started */
    bool tried;
    uint64_t answered_us; /* 0: never */
    uint64_t failures;
    uint64_t failing_us; /* since when; 0: it does not fail */
    struct outage outage;
    bool beyond_told;
    bool emptied_told;
};

struct discovering {
    int wake_fd;
    struct board *board;
    struct config *loaded;
    struct item *items;       /* for each template of `loaded` */
    struct tenants *tenants;  /* likewise */
    struct discoverer **past; /* of earlier configurations, which end */
    size_t past_count;
};

struct discovering *
discovering_new(int wake_fd, struct board *board)
{
    struct discovering *const self = memory_array(1, sizeof(*self));
    self->wake_fd = wake_fd;
    self->board = board;
    return self;
}

static size_t
count_of(const struct discovering *self)
{
    return self->loaded == NULL ? 0 : self->loaded->template_count;
}

static const char *
name_of(const struct item *item)
{
    return item->template->source.name;
}

/* ---- what is shown, and logged -------------------------------------------------------------------------- */

static void
show(struct discovering *self)
{
    const size_t count = count_of(self);
    struct board_template *const views = memory_array(count + 1, sizeof(*views));
    for (size_t i = 0; i < count; i++) {
        const struct item *const item = &self->items[i];
        const struct tenants *const tenants = &self->tenants[i];
        struct board_template *const view = &views[i];
        (void)snprintf(view->name, sizeof(view->name), "%s", name_of(item)); /* fits */
        view->answered_us = item->answered_us;
        view->failures = item->failures;
        view->failing_us = item->failing_us;
        view->refused = tenants_refused(tenants);
        for (size_t j = 0; j < tenants->usable; j++) {
            view->tenants += tenants->list[j].refusal == NULL ? 1 : 0;
        }
        view->emptied = tenants->emptied;
        if (item->outage.lasts) {
            (void)snprintf(view->error, sizeof(view->error), "%s",
                           item->outage.reason); /* cut is fine */
        }
    }
    board_set_templates(self->board, views, count); /* takes them over */
}

static void
tell_refused(struct item *item, struct tenants *tenants)
{
    for (size_t i = 0; i < tenants->count; i++) {
        struct tenant *const tenant = &tenants->list[i];
        if (tenant->refusal != NULL && !tenant->told) {
            tenant->told = true;
            log_warning("tenant_refused",
                        LOG_WORDS("a tenant has no source; the others have theirs"),
                        LOG_STR("template", name_of(item)), LOG_STR("tenant", tenant->name),
                        LOG_STR("error", tenant->refusal));
        }
    }
    if (tenants->beyond > 0 && !item->beyond_told) {
        log_warning("tenants_beyond",
                    LOG_WORDS("the query found more tenants than discover_max lets in; those that "
                              "have a source keep it"),
                    LOG_STR("template", name_of(item)), LOG_UINT("left_out", tenants->beyond));
    }
    item->beyond_told = tenants->beyond > 0;
}

static void
tell_change(struct item *item, const struct tenants *tenants, const struct tenants_change *change)
{
    if (tenants->emptied && !item->emptied_told) {
        log_warning("tenants_kept",
                    LOG_WORDS("the query found nobody, as if all tenants had gone at once; their "
                              "sources go on. Perhaps the role may not see them any more. If they "
                              "have gone: take the template away"),
                    LOG_STR("template", name_of(item)), LOG_UINT("tenants", tenants->usable));
    }
    item->emptied_told = tenants->emptied;
    if (change->added + change->removed > 0) {
        log_info("tenants_changed", LOG_STR("template", name_of(item)),
                 LOG_UINT("added", change->added), LOG_UINT("removed", change->removed),
                 LOG_UINT("tenants", tenants->usable),
                 LOG_UINT("refused", tenants_refused(tenants)));
    }
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static void
learn_failure(struct item *item, const struct error *error)
{
    const uint64_t now_us = clock_monotonic_us();
    item->failures++;
    item->failing_us = item->failing_us == 0 ? now_us : item->failing_us;
    if (outage_is_news(&item->outage, error->text, now_us)) {
        log_warning("discover_failed",
                    LOG_WORDS("which tenants there are is not known; sources stay as they are, it "
                              "is tried again"),
                    LOG_STR("template", name_of(item)), LOG_CAUSE(error));
    }
}

/* Takes the answer over. True if there are other tenants now. */
static bool
learn(struct item *item, struct tenants *tenants, bool good, struct database_names *names,
      const struct error *error)
{
    struct tenants_change change = {.added = 0};
    item->tried = true;
    if (good) {
        item->answered_us = clock_monotonic_us();
        item->failing_us = 0;
        if (outage_over(&item->outage)) {
            log_info("discovered", LOG_WORDS("the query for the tenants has answered"),
                     LOG_STR("template", name_of(item)), LOG_UINT("names", names->count));
        }
        tenants_learn(tenants, item->template, names, &change);
        tell_refused(item, tenants);
        tell_change(item, tenants, &change);
    } else {
        learn_failure(item, error);
    }
    database_names_done(names);
    return change.added + change.removed > 0;
}

/* Without a thread nobody asks: then it is tried again with the next work there is, within a minute. */
static void
start(const struct discovering *self, struct config *loaded, struct item *item)
{
    struct error error;
    item->discoverer = discoverer_start(loaded, item->template, self->wake_fd, &error);
    if (item->discoverer == NULL) {
        learn_failure(item, &error);
    }
}

/* Joins those that have ended. */
static void
join_past(struct discovering *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->past_count; i++) {
        if (discoverer_finished(self->past[i])) {
            discoverer_join(self->past[i]);
        } else {
            self->past[kept++] = self->past[i];
        }
    }
    self->past_count = kept;
}

bool
discovering_work(struct discovering *self)
{
    bool changed = false;
    bool news = false;
    join_past(self);
    for (size_t i = 0; i < count_of(self); i++) {
        struct item *const item = &self->items[i];
        struct database_names names;
        struct error error;
        bool good;
        if (item->discoverer == NULL) {
            news = true;
            start(self, self->loaded, item);
        } else if (discoverer_take(item->discoverer, &good, &names, &error)) {
            news = true;
            changed |= learn(item, &self->tenants[i], good, &names, &error);
        }
    }
    if (news) {
        show(self);
    }
    return changed;
}

struct config *
discovering_config(struct discovering *self)
{
    struct config *const config = config_with_tenants(self->loaded, self->tenants);
    for (size_t i = 0; i < count_of(self); i++) {
        tell_refused(&self->items[i], &self->tenants[i]);
    }
    show(self);
    return config;
}

bool
discovering_is_settled(const struct discovering *self)
{
    for (size_t i = 0; i < count_of(self); i++) {
        if (self->items[i].discoverer != NULL && !self->items[i].tried) {
            return false;
        }
    }
    return true;
}

/* ---- following a configuration -------------------------------------------------------------------------- */

/* All that ask now are to end. */
static void
retire(struct discovering *self)
{
    const size_t count = count_of(self);
    struct discoverer **const past = memory_array(self->past_count + count + 1, sizeof(*past));
    for (size_t i = 0; i < self->past_count; i++) {
        past[i] = self->past[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (self->items[i].discoverer != NULL) {
            discoverer_stop(self->items[i].discoverer);
            past[self->past_count++] = self->items[i].discoverer;
            self->items[i].discoverer = NULL;
        }
    }
    memory_free(self->past);
    self->past = past;
}

/* The tenants that a template of this name has had, and what was said of it. */
static void
inherit(struct discovering *self, struct item *item, struct tenants *tenants)
{
    for (size_t i = 0; i < count_of(self); i++) {
        if (strcmp(name_of(&self->items[i]), name_of(item)) == 0) {
            item->answered_us = self->items[i].answered_us;
            item->failures = self->items[i].failures;
            item->failing_us = self->items[i].failing_us;
            item->outage = self->items[i].outage;
            *tenants = self->tenants[i];
            self->tenants[i] = (struct tenants){.count = 0};
        }
    }
}

static struct item
begin(struct discovering *self, struct config *loaded, const struct source_template *template,
      struct tenants *tenants)
{
    struct item item = {.template = template};
    outage_init(&item.outage);
    inherit(self, &item, tenants);
    start(self, loaded, &item);
    return item;
}

static void
forget(struct discovering *self)
{
    for (size_t i = 0; i < count_of(self); i++) {
        tenants_done(&self->tenants[i]);
    }
    memory_free(self->items);
    memory_free(self->tenants);
    config_free(self->loaded);
}

void
discovering_follow(struct discovering *self, struct config *loaded)
{
    struct item *const items = memory_array(loaded->template_count + 1, sizeof(*items));
    struct tenants *const tenants = memory_array(loaded->template_count + 1, sizeof(*tenants));
    retire(self);
    for (size_t i = 0; i < loaded->template_count; i++) {
        items[i] = begin(self, loaded, &loaded->templates[i], &tenants[i]);
    }
    forget(self);
    self->loaded = config_ref(loaded);
    self->items = items;
    self->tenants = tenants;
    join_past(self);
}

/* ---- the end -------------------------------------------------------------------------------------------- */

void
discovering_stop(struct discovering *self)
{
    for (size_t i = 0; i < count_of(self); i++) {
        if (self->items[i].discoverer != NULL) {
            discoverer_stop(self->items[i].discoverer);
        }
    }
}

bool
discovering_free(struct discovering *self)
{
    if (self == NULL) {
        return true;
    }
    const uint64_t deadline_us = clock_monotonic_us() + END_US;
    const struct timespec moment = {.tv_nsec = 1000000};
    retire(self);
    join_past(self);
    while (self->past_count > 0 && clock_monotonic_us() < deadline_us) {
        (void)nanosleep(&moment, NULL); /* woken early is fine */
        join_past(self);
    }
    if (self->past_count > 0) {
        return false;
    }
    forget(self);
    memory_free(self->past);
    memory_free(self);
    return true;
}
