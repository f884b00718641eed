#include "relay/init.h"

#define GRANTS                                                                                   \
    "if the relay's role is another, grant it: select, insert, delete on outbox; select on its " \
    "sequence; select, insert, update, delete on outbox_held; select, update on "                \
    "outbox_held_act; select, insert, update on outbox_relay; select, insert, delete on "        \
    "outbox_sent"

static const char *
words_for(enum init_outcome outcome)
{
    switch (outcome) {
    case INIT_CREATED:
        return "tables created; " GRANTS;
    case INIT_MIGRATED:
        return "migrated: the tables for held messages are there now, the outbox stays as it is; "
               "writers need nothing new; " GRANTS;
    case INIT_ALREADY_THERE:
        break;
    }
    return "the tables are there already, nothing to do";
}

static bool
init_source(const struct source_config *source, FILE *out)
{
    struct error error;
    enum init_outcome outcome;
    if (!init_postgres(source, &outcome, &error)) {
        (void)fprintf(out, "problem  source \"%s\": %s\n", source->name,
                      error.text); /* the exit status says it too */
        return false;
    }
    (void)fprintf(out, "ok       source \"%s\": %s\n", source->name,
                  words_for(outcome)); /* as above */
    return true;
}

bool
init_run(const struct config *config, FILE *out)
{
    bool good = true;
    for (size_t i = 0; i < config->source_count; i++) {
        good &= init_source(&config->sources[i], out);
    }
    return good;
}

void
init_print(FILE *out)
{
    init_postgres_print(out);
}
