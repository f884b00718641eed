#include "relay/http/metrics.h"

static const char intro[] =
    "# Metrics\n"
    "\n"
    "<!-- Made by `outbox-relay metrics-reference` from relay/http/metrics_table.c: change it "
    "there. "
    "-->\n"
    "\n"
    "With a section `http` in the configuration the relay answers `GET /metrics`, in OpenMetrics "
    "or, "
    "for\n"
    "a client that does not ask for that, in the older text format of Prometheus. How to scrape "
    "it, "
    "and\n"
    "what to alert on: [Operations](OPERATIONS.md#metrics-and-health). A counter's samples end in "
    "`_total`,\n"
    "that of an info in `_info`; those of a histogram in `_bucket`, `_sum` and `_count`. Counters "
    "begin\n"
    "at 0 with the process.\n";

static const char *const headings[] = {
    [METRIC_PROCESS] = "Of the process",
    [METRIC_SOURCE] = "Of each source\n"
                      "\n"
                      "Label `source`: its name. What the relay knows, at most a second old.",
    [METRIC_DATABASE] =
        "Of each source, from its database\n"
        "\n"
        "Label `source`: its name. The database is asked every ten seconds (with more than 40 "
        "sources less often),\n"
        "while somebody scrapes. If it does not answer, nobody waits for it: its last answer is "
        "left "
        "out as soon\n"
        "as it is three times as old.",
    [METRIC_TEMPLATE] =
        "Of each template of sources\n"
        "\n"
        "Label `template`: its name, such as `shop-*`. What its tenants' sources do stands above, "
        "by their names.",
};

static const char *
type_word(enum metric_type type)
{
    static const char *const words[] = {"gauge", "counter", "info", "histogram"};
    return words[type];
}

static void
print_metric(FILE *out, const struct metric *metric)
{
    (void)fprintf(out, "\n### %s\n\n%s", metric->name,
                  type_word(metric->type)); /* the caller looks at the stream */
    if (metric->unit[0] != '\0') {
        (void)fprintf(out, ", in %s", metric->unit); /* as above */
    }
    if (metric->label != NULL && metric->type != METRIC_INFO) {
        (void)fprintf(out, "; label `%s`:", metric->label); /* as above */
        for (unsigned i = 0; metric->values[i] != NULL; i++) {
            (void)fprintf(out, "%s `%s`", i == 0 ? "" : ",", metric->values[i]); /* as above */
        }
    } else if (metric->label != NULL) {
        (void)fprintf(out, "; label `%s`", metric->label); /* as above */
    }
    (void)fprintf(out, "\n\n%s\n", metric->help); /* as above */
}

void
metrics_reference_print(FILE *out)
{
    (void)fputs(intro, out); /* as above */
    for (enum metric_about about = METRIC_PROCESS; about <= METRIC_TEMPLATE; about++) {
        (void)fprintf(out, "\n## %s\n", headings[about]); /* as above */
        for (size_t i = 0; i < metrics_count; i++) {
            if (metrics[i].about == about) {
                print_metric(out, &metrics[i]);
            }
        }
    }
}
