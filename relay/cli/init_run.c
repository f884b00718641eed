#include "relay/cli/init_run.h"

#include "relay/cli/text.h"
#include "relay/postgres/init.h"
#include "relay/rabbit/init.h"

bool
init_run(const struct config *config, FILE *out)
{
    struct report report = {.tell = cli_text_line, .context = out};
    for (size_t i = 0; i < config->source_count; i++) {
        init_postgres(&report, &config->sources[i]);
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        init_broker(&report, config, &config->brokers[i]);
    }
    return report.problems == 0;
}

void
init_print(FILE *out, const char *schema)
{
    init_postgres_print(out, schema);
}
