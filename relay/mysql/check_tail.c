#include <stdio.h>

#include "relay/mysql/check_private.h"
#include "relay/mysql/foreground.h"
#include "relay/mysql/replica.h"
#include "relay/mysql/tail.h"
#include "relay/mysql/tail_columns.h"

struct inquiry {
    struct report *report;
    const struct source_config *source;
    struct my_session *session;
    size_t lacks;
};

static void
tell_lack(void *context, const char *words)
{
    struct inquiry *const self = context;
    self->lacks++;
    if (self->source->mode == SOURCE_MODE_TAIL) {
        report_problem(self->report, "source \"%s\": %s", self->source->name, words);
    } else {
        report_advice(self->report, "source \"%s\": %s", self->source->name, words);
    }
}

/* An account gets its rights in more ways than the server's tables show, so the log is read once. */
static void
try_to_read(struct inquiry *self, const struct my_log_end *end)
{
    char file[MY_LOG_NAME_BYTES];
    uint32_t offset;
    struct mysql_client_log log = {.file = NULL};
    struct span event;
    my_position_place(&end->log, end->position, file, &offset);
    const bool good = my_replica_prepare(self->session) &&
                      my_replica_begin(self->session, &log, file, offset) &&
                      my_replica_next(self->session, &log, &event);
    if (!good) {
        tell_lack(self, self->session->error.text);
    }
    my_foreground_close(self->session);
    self->session = NULL;
    mysql_client_log_done(&log);
}

static void
look_at_log(struct inquiry *self, const char *schema)
{
    struct my_tail_facts facts;
    if (!my_tail_look(self->session, schema, &facts)) {
        tell_lack(self, self->session->error.text);
    } else if (my_tail_lacks(&facts, schema, tell_lack, self) == 0) {
        try_to_read(self, &facts.end);
    }
}

static void
look(struct inquiry *self)
{
    struct my_tail_columns columns;
    if (my_tail_columns_ask(self->session, &columns)) {
        look_at_log(self, columns.schema);
    } else {
        tell_lack(self, self->session->error.text);
    }
    my_tail_columns_done(&columns);
}

static void
tell_end(const struct inquiry *self)
{
    if (self->lacks == 0) {
        report_ok(self->report, "source \"%s\": the binary log can be read", self->source->name);
    } else if (self->source->mode == SOURCE_MODE_AUTO) {
        report_ok(self->report, "source \"%s\": until then it polls the table", self->source->name);
    }
}

void
check_mysql_tail(struct report *report, const struct source_config *source)
{
    struct error error;
    struct inquiry self = {.report = report, .source = source};
    if (source->mode == SOURCE_MODE_POLL) {
        return;
    }
    if (source->crowded) {
        report_ok(report, "source \"%s\": it polls the table: %s", source->name,
                  config_crowded_words(source));
        return;
    }
    self.session = my_foreground_open(source, false, &error);
    if (self.session == NULL) {
        report_problem(report, "source \"%s\": cannot look whether the log can be read: %s",
                       source->name, error.text);
        return;
    }
    look(&self);
    tell_end(&self);
    my_foreground_close(self.session);
}
