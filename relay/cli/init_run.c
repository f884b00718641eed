#include "relay/cli/init_run.h"

#include "base/memory.h"
#include "relay/cli/text.h"
#include "relay/ports/init.h"
#include "relay/postgres/init.h"
#include "relay/rabbit/init.h"

#define GRANTS                                                                                    \
    "if the relay's role is another, grant it: select, insert, update, delete on outbox; select " \
    "on its "                                                                                     \
    "sequence; select, insert, update, delete on outbox_held; select, update on "                 \
    "outbox_held_act; select, insert, update on outbox_relay; select, insert, delete on "         \
    "outbox_sent; and to the application's: insert on outbox; or, for INSERT with RETURNING, as " \
    "ORMs do, insert, select on outbox_new, which shows nobody's messages"

#define ROLE_NEEDS                                                                                 \
    "alter role %s replication (Amazon RDS: grant rds_replication to %s; Google Cloud SQL: alter " \
    "user %s with replication)"

#define MAKES_SLOT                                                                         \
    "the relay makes its slot itself when it starts, for one that nobody reads keeps the " \
    "server's log"

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
    case INIT_REPAIRED:
        return "the tables were there already, and are now as they were made";
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
say_put_back(void *context, const char *words)
{
    const struct report *const report = context;
    say(report, "ok", words);
}

static void
say_lack(void *context, const char *words)
{
    const struct report *const report = context;
    say(report, report->source->mode == SOURCE_MODE_TAIL ? "problem" : "advice", words);
}

/* What may be lacking for the relay alone, and what comes then. */
static void
say_reader(const struct report *report, const struct init_log *log)
{
    char words[900];
    const bool known = log->relay_role[0] != '\0';
    const char *const role = known ? log->relay_role : "NAME";
    if (!log->may_read) {
        (void)snprintf(words, sizeof(words),
                       "the relay's role may not read the log yet: " ROLE_NEEDS, role, role,
                       role); /* fits */
        say(report, "advice", words);
    }
    if (log->lacks > 0) {
        return;
    }
    if (!log->may_read) {
        (void)snprintf(words, sizeof(words), "the log can be read then; " MAKES_SLOT); /* fits */
    } else if (known) {
        (void)snprintf(words, sizeof(words), "the log can be read by %s; " MAKES_SLOT,
                       role); /* fits */
    } else {
        (void)snprintf(words, sizeof(words),
                       "the log can be read; if the relay's role is another: " ROLE_NEEDS
                       "; " MAKES_SLOT,
                       role, role, role); /* fits */
    }
    say(report, "ok", words);
}

/* With mode "auto" what is lacking is no failure: until it is there, the relay polls. */
static bool
init_tail(struct report *report)
{
    struct error error;
    struct init_log log = {0};
    if (!init_postgres_tail(report->source, say_lack, report, &log, &error)) {
        say(report, "problem", error.text);
        return false;
    }
    say_reader(report, &log);
    if (log.lacks > 0 && report->source->mode == SOURCE_MODE_AUTO) {
        say(report, "ok", "until then it polls the table");
    }
    return log.lacks == 0 || report->source->mode == SOURCE_MODE_AUTO;
}

static bool
init_source(const struct source_config *source, FILE *out)
{
    struct report report = {out, source};
    struct error error;
    enum init_outcome outcome;
    if (!init_postgres(source, say_put_back, &report, &outcome, &error)) {
        say(&report, "problem", error.text);
        return false;
    }
    say(&report, "ok", words_for(outcome));
    return source->mode == SOURCE_MODE_POLL || init_tail(&report);
}

struct broker_report {
    FILE *out;
    const struct broker_config *broker;
};

static void
say_of_broker(void *context, bool good, const char *words)
{
    const struct broker_report *const report = context;
    init_say(report->out, good ? "ok" : "problem", "broker", report->broker->name, words);
}

bool
init_run(const struct config *config, FILE *out)
{
    bool good = true;
    for (size_t i = 0; i < config->source_count; i++) {
        good &= init_source(&config->sources[i], out);
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        struct broker_report report = {out, &config->brokers[i]};
        good &= init_broker(config, &config->brokers[i], say_of_broker, &report);
    }
    return good;
}

void
init_print(FILE *out, const char *schema)
{
    init_postgres_print(out, schema);
}
