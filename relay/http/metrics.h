/* relay/http/metrics.h - the metrics, from one table (metrics_table.c) that also makes docs/METRICS.md. */
#ifndef RELAY_HTTP_METRICS_H
#define RELAY_HTTP_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "relay/daemon/board.h"
#include "relay/http/facts.h"

#define METRICS_OPEN_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_INFO, METRIC_HISTOGRAM };

/* Where the numbers of a metric come from, and so what they are about. */
enum metric_about {
    METRIC_PROCESS,
    METRIC_SOURCE,   /* what the worker shows on the board */
    METRIC_DATABASE, /* what the source's database told (facts.h) */
    METRIC_TEMPLATE, /* what is known of the tenants of a template */
};

/* Of the whole process. */
struct metrics_process {
    double resident_bytes;
    double cpu_s;
    double started_s; /* since 1970 */
    size_t sources;   /* in the configuration */
};

struct metric_subject {
    uint64_t now_us;
    const struct metrics_process *process;
    const struct board_view *view;         /* METRIC_SOURCE, METRIC_DATABASE; else NULL */
    const struct facts_figures *figures;   /* METRIC_DATABASE */
    const struct board_template *template; /* METRIC_TEMPLATE; else NULL */
};

struct metric {
    const char *name; /* of the family: without _total and the like */
    enum metric_type type;
    enum metric_about about;
    const char *unit; /* "seconds", "bytes", which is also the end of the name; or "" */
    const char *help;
    const char *label;         /* in addition to `source` or `template`; NULL: none */
    const char *const *values; /* of this label: all that there are; ends with NULL */
    /* The number for one of the values; NAN: it is not known, and is left out. */
    double (*read)(const struct metric_subject *subject, unsigned value);
    const struct histogram *(*read_histogram)(const struct metric_subject *subject);
};

extern const struct metric metrics[];
extern const size_t metrics_count;

/* All metrics, in OpenMetrics or in the older text format of Prometheus. */
void metrics_write(FILE *out, const struct metric_subject *subjects, size_t count,
                   const struct metrics_process *process, bool open);

/* The same, of this process. */
void metrics_tell(FILE *out, struct board *board, struct facts *facts, bool open, uint64_t now_us);

/* docs/METRICS.md */
void metrics_reference_print(FILE *out);

#endif
