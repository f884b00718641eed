#include "relay/init.h"

#include "relay/cli_text.h"
#include "relay/memory.h"

#define GRANTS                                                                                    \
    "if the relay's role is another, grant it: select, insert, update, delete on outbox; select " \
    "on its "                                                                                     \
    "sequence; select, insert, update, delete on outbox_held; select, update on "                 \
    "outbox_held_act; select, insert, update on outbox_relay; select, insert, delete on "         \
    "outbox_sent; and to the application's: insert on outbox; or, for INSERT with RETURNING, as " \
    "ORMs do, insert, select on outbox_new, which shows nobody's messages"

#define TAIL_READY                                                                              \
    "the log can be read; if the relay's role is another: alter role NAME replication (Amazon " \
    "RDS: grant rds_replication to NAME; Google Cloud SQL: alter user NAME with replication); " \
    "the relay makes its slot itself when it starts, for one that nobody reads keeps the "      \
    "server's "                                                                                 \
    "log"

static const char *
words_for(enum init_outcome outcome)
{
    switch (outcome) {
    case INIT_CREATED:
        return "tables created; " GRANTS;
    case INIT_MIGRATED:
        return "migrated: the tables for held messages are there now, the outbox stays as it is; "
               "writers need nothing new; " GRANTS;
    case INIT_EXTENDED:
        return "migrated: the tables have what is new now; writers and the relay that runs go on";
    case INIT_ALREADY_THERE:
        break;
    }
    return "the tables are there already, nothing to do";
}

void
init_say(FILE *out, const char *word, const char *scope, const char *name, const char *words)
{
    char *const clean = cli_text_clean(words);
    (void)fprintf(out, "%-8s %s \"%s\": %s\n", word, scope, name,
                  clean); /* the caller looks at the stream */
    memory_free(clean);
}

/* All that is said of a source; what is written there is not looked at: the exit status says it too. */
struct report {
    FILE *out;
    const struct source_config *source;
};

static void
say(const struct report *report, const char *word, const char *words)
{
    init_say(report->out, word, "source", report->source->name, words);
}

static void
say_lack(void *context, const char *words)
{
    const struct report *const report = context;
    say(report, report->source->mode == SOURCE_MODE_TAIL ? "problem" : "advice", words);
}

/* With mode "auto" what is lacking is no failure: until it is there, the relay polls. */
static bool
init_tail(struct report *report)
{
    struct error error;
    size_t lacks = 0;
    if (!init_postgres_tail(report->source, say_lack, report, &lacks, &error)) {
        say(report, "problem", error.text);
        return false;
    }
    if (lacks == 0) {
        say(report, "ok", TAIL_READY);
    } else if (report->source->mode == SOURCE_MODE_AUTO) {
        say(report, "ok", "until then it polls the table");
    }
    return lacks == 0 || report->source->mode == SOURCE_MODE_AUTO;
}

static bool
init_source(const struct source_config *source, FILE *out)
{
    struct report report = {out, source};
    struct error error;
    enum init_outcome outcome;
    if (!init_postgres(source, &outcome, &error)) {
        say(&report, "problem", error.text);
        return false;
    }
    say(&report, "ok", words_for(outcome));
    return source->mode == SOURCE_MODE_POLL || init_tail(&report);
}

bool
init_run(const struct config *config, FILE *out)
{
    bool good = true;
    for (size_t i = 0; i < config->source_count; i++) {
        good &= init_source(&config->sources[i], out);
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        good &= init_broker(config, &config->brokers[i], out);
    }
    return good;
}

void
init_print(FILE *out, const char *schema)
{
    init_postgres_print(out, schema);
}
