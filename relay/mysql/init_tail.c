#include "relay/mysql/init_private.h"
#include "relay/mysql/tail.h"
#include "relay/mysql/tail_columns.h"

struct telling {
    struct report *report;
    const struct source_config *source;
    size_t lacks;
};

static void
tell_lack(void *context, const char *words)
{
    struct telling *const self = context;
    self->lacks++;
    if (self->source->mode == SOURCE_MODE_TAIL) {
        report_problem(self->report, "source \"%s\": %s", self->source->name, words);
    } else {
        report_advice(self->report, "source \"%s\": %s", self->source->name, words);
    }
}

/* It does not matter whether the account that runs init may ask where the log ends: it need not be the relay's. */
static void
look_at_log(struct telling *self, struct my_session *session, const char *schema)
{
    struct my_tail_facts facts;
    if (!my_tail_look(session, schema, &facts)) {
        tell_lack(self, session->error.text);
        return;
    }
    if (facts.end.is_refused) {
        facts.end = (struct my_log_end){.position = 1};
    }
    (void)my_tail_lacks(&facts, schema, tell_lack, self); /* tell_lack counts them */
}

static void
look(struct telling *self, struct my_session *session)
{
    struct my_tail_columns columns;
    if (my_tail_columns_ask(session, &columns)) {
        look_at_log(self, session, columns.schema);
    } else {
        tell_lack(self, session->error.text);
    }
    my_tail_columns_done(&columns);
}

void
init_mysql_tail(struct report *report, const struct source_config *source,
                struct my_session *session)
{
    struct telling self = {.report = report, .source = source};
    if (source->mode == SOURCE_MODE_POLL) {
        return;
    }
    look(&self, session);
    if (self.lacks == 0) {
        report_ok(report,
                  "source \"%s\": the binary log can be read by an account that has: grant "
                  "replication slave, %s on *.*",
                  source->name, session->is_mariadb ? "binlog monitor" : "replication client");
    } else if (source->mode == SOURCE_MODE_AUTO) {
        report_ok(report, "source \"%s\": until then it polls the table", source->name);
    }
}
