#include "relay/cli/check_run.h"

#include "relay/cli/templates.h"
#include "relay/cli/text.h"
#include "relay/ports/report.h"
#include "relay/rabbit/check.h"

bool
check_run(struct config *loaded, FILE *out)
{
    struct report report = {.tell = cli_text_line, .context = out};
    struct config *const config = cli_templates_report(loaded, &report);
    for (size_t i = 0; i < config->warnings.count; i++) {
        report_problem(&report, "configuration: %s", config->warnings.texts[i]);
    }
    for (size_t i = 0; i < config->advice.count; i++) {
        report_advice(&report, "configuration: %s", config->advice.texts[i]);
    }
    for (size_t i = 0; i < config->source_count; i++) {
        config->sources[i].kind->check(&report, &config->sources[i]);
    }
    for (size_t i = 0; i < config->broker_count; i++) {
        check_broker(&report, config, &config->brokers[i]);
    }
    if (report.problems == 0) {
        (void)fputs("no problems\n", out); /* the exit status says it too */
    } else {
        (void)fprintf(out, "%zu problem%s\n", report.problems,
                      report.problems == 1 ? "" : "s"); /* as above */
    }
    config_free(config);
    return report.problems == 0;
}
