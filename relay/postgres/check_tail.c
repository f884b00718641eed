#include "relay/postgres/check_private.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "relay/postgres/tail.h"

#define MIB (1024.0 * 1024)

struct inquiry {
    struct report *report;
    const struct source_config *source;
    struct postgres_tail tail;
};

static void
tell_lack(void *context, const char *words)
{
    const struct inquiry *const self = context;
    if (self->source->mode == SOURCE_MODE_TAIL) {
        report_problem(self->report, "source \"%s\": %s", self->source->name, words);
    } else {
        report_advice(self->report, "source \"%s\": %s", self->source->name, words);
    }
}

/* Only a running relay drops a slot that retains too much. */
static void
check_retained(struct inquiry *self)
{
    const struct postgres_tail *const tail = &self->tail;
    char words[700];
    char limit[TEXT_UNIT_BYTES];
    text_format_size(self->source->wal_retain_max, limit);
    const bool excessive = tail->slot_there && self->source->wal_retain_max > 0 &&
                           tail->retained > self->source->wal_retain_max;
    if (excessive && self->source->tableless) {
        report_problem(self->report,
                       "source \"%s\": the slot \"%s\" keeps %.1f MiB of the server's log, more "
                       "than wal_retain_max = %s: start the relay, which reads it; do not drop the "
                       "slot, because messages may be nowhere else",
                       self->source->name, tail->slot, (double)tail->retained / MIB, limit);
    } else if (excessive) {
        (void)snprintf(words, sizeof(words),
                       "the slot \"%s\" keeps %.1f MiB of the server's log, more than "
                       "wal_retain_max = %s: start the relay, which drops it, or select "
                       "pg_drop_replication_slot('%s')",
                       tail->slot, (double)tail->retained / MIB, limit, tail->slot); /* fits */
        tell_lack(self, words);
    }
    if (strcmp(tail->keep_size, "-1") == 0) {
        report_advice(self->report,
                      "source \"%s\": max_slot_wal_keep_size is -1, so while no relay runs nothing "
                      "bounds what its slot keeps of the server's log: set it in the server, above "
                      "wal_retain_max = %s",
                      self->source->name, limit);
    }
}

static void
tell_slot(struct inquiry *self)
{
    const struct postgres_tail *const tail = &self->tail;
    const char *const name = self->source->name;
    if (!tail->slot_there) {
        report_ok(self->report,
                  "source \"%s\": the log can be read; the relay makes the slot \"%s\" when it "
                  "starts",
                  name, tail->slot);
    } else if (tail->slot_lost && self->source->tableless) {
        report_problem(self->report,
                       "source \"%s\": the slot \"%s\" is lost, and with it what was emitted "
                       "without a table and not read; the relay makes a new one",
                       name, tail->slot);
    } else if (tail->slot_lost) {
        report_ok(self->report,
                  "source \"%s\": the log can be read; the slot \"%s\" is lost, the relay makes it "
                  "anew",
                  name, tail->slot);
    } else {
        report_ok(self->report,
                  "source \"%s\": the log can be read; the slot \"%s\" keeps %.1f MiB of it%s",
                  name, tail->slot, (double)tail->retained / MIB,
                  tail->slot_active ? "" : ", and nobody reads it now");
    }
}

static void
check_left_behind(struct inquiry *self)
{
    const struct postgres_tail *const tail = &self->tail;
    if (tail->slot_there && !tail->slot_foreign && !tail->slot_active) {
        report_problem(self->report,
                       "source \"%s\": mode is \"poll\", but the slot \"%s\" is still there and "
                       "keeps %.1f MiB of the server's log for nobody: select "
                       "pg_drop_replication_slot('%s')",
                       self->source->name, tail->slot, (double)tail->retained / MIB, tail->slot);
    }
}

void
check_postgres_tail(struct report *report, const struct source_config *source, PGconn *connection)
{
    struct inquiry self = {.report = report, .source = source};
    struct error error;
    if (!postgres_tail_look(connection, source, &self.tail, &error)) {
        report_problem(report, "source \"%s\": cannot look whether the log can be read: %s",
                       source->name, error.text);
        return;
    }
    if (source->mode == SOURCE_MODE_POLL) {
        check_left_behind(&self);
    } else if (source->crowded && !self.tail.slot_there) {
        report_ok(report, "source \"%s\": it polls the table: %s", source->name,
                  config_crowded_words(source));
    } else if (postgres_tail_lacks(&self.tail, tell_lack, &self) == 0) {
        tell_slot(&self);
        check_retained(&self);
    } else if (source->mode == SOURCE_MODE_AUTO) {
        report_ok(report, "source \"%s\": until then it polls the table", source->name);
    }
    postgres_tail_free(&self.tail);
}
