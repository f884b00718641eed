#include "relay/rabbit/init.h"

#include "relay/rabbit/inquiry.h"
#include "relay/rabbit/topology.h"

struct telling {
    struct report *report;
    const struct broker_config *broker;
};

static void
on_finding(void *context, enum topology_finding finding, const char *words)
{
    const struct telling *const self = context;
    if (finding == TOPOLOGY_DIFFERS || finding == TOPOLOGY_LACKS) {
        report_problem(self->report, "broker \"%s\": %s", self->broker->name, words);
    } else {
        report_ok(self->report, "broker \"%s\": %s", self->broker->name, words);
    }
}

void
init_broker(struct report *report, const struct config *config, const struct broker_config *broker)
{
    struct telling self = {report, broker};
    struct inquiry inquiry;
    if (!topology_any(config, broker)) {
        return;
    }
    if (!inquiry_open(&inquiry, broker, "outbox-relay init", -1) ||
        !topology_work(&inquiry, config, broker, true, on_finding, &self)) {
        report_problem(report, "broker \"%s\": %s", broker->name, inquiry.error.text);
    }
    inquiry_close(&inquiry);
}
