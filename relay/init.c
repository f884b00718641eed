#include "relay/init.h"

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
                  outcome == INIT_CREATED
                      ? "tables created; grant select, delete on outbox and select on its sequence "
                        "to the relay's role, if that is another"
                      : "the tables are there already, nothing to do"); /* as above */
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
