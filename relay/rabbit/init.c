#include "relay/rabbit/init.h"

#include "relay/rabbit/inquiry.h"
#include "relay/rabbit/topology.h"

struct report {
    void (*tell)(void *context, bool good, const char *words);
    void *context;
    bool good;
};

static void
say(struct report *report, bool good, const char *words)
{
    report->good &= good;
    report->tell(report->context, good, words);
}

static void
on_finding(void *context, enum topology_finding finding, const char *words)
{
    say(context, finding != TOPOLOGY_DIFFERS && finding != TOPOLOGY_LACKS, words);
}

bool
init_broker(const struct config *config, const struct broker_config *broker,
            void (*tell)(void *context, bool good, const char *words), void *context)
{
    struct report report = {tell, context, true};
    struct inquiry inquiry;
    if (!topology_any(config, broker)) {
        return true;
    }
    if (!inquiry_open(&inquiry, broker, "outbox-relay init", -1) ||
        !topology_work(&inquiry, config, broker, true, on_finding, &report)) {
        say(&report, false, inquiry.error.text);
    }
    inquiry_close(&inquiry);
    return report.good;
}
