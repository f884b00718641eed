#include "relay/cli/init_run.h"

#include "relay/cli/templates.h"
#include "relay/cli/text.h"
#include "relay/ports/report.h"
#include "relay/rabbit/init.h"

bool
init_run(struct config *loaded, FILE *out)
{
    struct report report = {.tell = cli_text_line, .context = out};
    struct config *const config = cli_templates_report(loaded, &report);
    for (size_t i = 0; i < config->source_count; i++) {
        config->sources[i].kind->init(&report, &config->sources[i]);
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        init_broker(&report, config, &config->brokers[i]);
    }
    config_free(config);
    return report.problems == 0;
}
