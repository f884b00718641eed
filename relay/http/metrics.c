#include "relay/http/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define EXACT 9007199254740992.0 /* 2^53: up to here a double has all whole numbers */

/* ---- one line -------------------------------------------------------------------------------------- */

/* The stream is memory, so nothing here can fail but for want of that, which http_answer_end looks at. */
static void
put_number(FILE *out, double number)
{
    if (number == floor(number) && fabs(number) < EXACT) {
        (void)fprintf(out, "%.0f\n", number); /* as above */
    } else {
        (void)fprintf(out, "%.10g\n", number); /* as above */
    }
}

/* `{source="orders",state="dead",le="0.001"} `; names and words have nothing in them that would need an escape. */
static void
put_labels(FILE *out, const struct metric *metric, const struct metric_subject *subject,
           unsigned value, const char *bound)
{
    char separator = '{';
    if (subject->view != NULL) {
        (void)fprintf(out, "%csource=\"%s\"", separator, subject->view->source); /* as above */
        separator = ',';
    }
    if (subject->template != NULL) {
        (void)fprintf(out, "%ctemplate=\"%s\"", separator, subject->template->name); /* as above */
        separator = ',';
    }
    if (metric->label != NULL) {
        (void)fprintf(out, "%c%s=\"%s\"", separator, metric->label,
                      metric->values[value]); /* as above */
        separator = ',';
    }
    if (bound != NULL) {
        (void)fprintf(out, "%cle=\"%s\"", separator, bound); /* as above */
        separator = ',';
    }
    (void)fputs(separator == ',' ? "} " : " ", out); /* as above */
}

static const char *
suffix_of(enum metric_type type)
{
    return type == METRIC_COUNTER ? "_total" : type == METRIC_INFO ? "_info" : "";
}

static void
put_samples(FILE *out, const struct metric *metric, const struct metric_subject *subject)
{
    unsigned value = 0;
    do {
        const double number = metric->read(subject, value);
        if (!isnan(number)) {
            (void)fprintf(out, "%s%s", metric->name, suffix_of(metric->type)); /* as above */
            put_labels(out, metric, subject, value, NULL);
            put_number(out, number);
        }
        value++;
    } while (metric->values != NULL && metric->values[value] != NULL);
}

static void
put_bucket(FILE *out, const struct metric *metric, const struct metric_subject *subject,
           const char *bound, uint64_t count)
{
    (void)fprintf(out, "%s_bucket", metric->name); /* as above */
    put_labels(out, metric, subject, 0, bound);
    (void)fprintf(out, "%" PRIu64 "\n", count); /* as above */
}

static void
put_histogram(FILE *out, const struct metric *metric, const struct metric_subject *subject)
{
    const struct histogram *const histogram = metric->read_histogram(subject);
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        char bound[32];
        (void)snprintf(bound, sizeof(bound), "%.10g",
                       (double)histogram_bound_us(i) / 1e6); /* fits */
        count += histogram->counts[i];
        put_bucket(out, metric, subject, bound, count);
    }
    count += histogram->counts[HISTOGRAM_BOUNDS];
    put_bucket(out, metric, subject, "+Inf", count);
    (void)fprintf(out, "%s_count", metric->name); /* as above */
    put_labels(out, metric, subject, 0, NULL);
    (void)fprintf(out, "%" PRIu64 "\n%s_sum", count, metric->name); /* as above */
    put_labels(out, metric, subject, 0, NULL);
    put_number(out, (double)histogram->sum_us / 1e6);
}

/* ---- all of them ----------------------------------------------------------------------------------- */

/* In the older format a family has the name of its samples, and there is no info. */
static void
put_head(FILE *out, const struct metric *metric, bool open)
{
    static const char *const types[] = {"gauge", "counter", "info", "histogram"};
    const char *const type = metric->type == METRIC_INFO && !open ? "gauge" : types[metric->type];
    const char *const suffix = open ? "" : suffix_of(metric->type);
    (void)fprintf(out, "# TYPE %s%s %s\n", metric->name, suffix, type); /* as above */
    if (open && metric->unit[0] != '\0') {
        (void)fprintf(out, "# UNIT %s %s\n", metric->name, metric->unit); /* as above */
    }
    (void)fprintf(out, "# HELP %s%s %s\n", metric->name, suffix, metric->help); /* as above */
}

static bool
is_about(const struct metric *metric, const struct metric_subject *subject)
{
    return (metric->about == METRIC_TEMPLATE) == (subject->template != NULL);
}

static void
put_of(FILE *out, const struct metric *metric, const struct metric_subject *subject)
{
    if (metric->type == METRIC_HISTOGRAM) {
        put_histogram(out, metric, subject);
    } else {
        put_samples(out, metric, subject);
    }
}

void
metrics_write(FILE *out, const struct metric_subject *subjects, size_t count,
              const struct metrics_process *process, bool open)
{
    const struct metric_subject self = {.process = process};
    for (size_t i = 0; i < metrics_count; i++) {
        put_head(out, &metrics[i], open);
        if (metrics[i].about == METRIC_PROCESS) {
            put_of(out, &metrics[i], &self);
        }
        for (size_t each = 0; each < count && metrics[i].about != METRIC_PROCESS; each++) {
            if (is_about(&metrics[i], &subjects[each])) {
                put_of(out, &metrics[i], &subjects[each]);
            }
        }
    }
    if (open) {
        (void)fputs("# EOF\n", out); /* as above */
    }
}

/* ---- of this process ------------------------------------------------------------------------------- */

static double
resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *const file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return NAN;
    }
    const bool good = fscanf(file, "%*u %llu", &pages) == 1;
    (void)fclose(file); /* was only read */
    return good ? (double)pages * (double)sysconf(_SC_PAGESIZE) : NAN;
}

static double
cpu_s(void)
{
    struct timespec used = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used); /* cannot fail with this clock */
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* The kernel tells the start in ticks since the machine's, as field 22; the name before may have blanks. */
static double
started_s(void)
{
    char line[1024] = "";
    unsigned long long ticks = 0;
    FILE *const file = fopen("/proc/self/stat", "re");
    if (file == NULL) {
        return NAN;
    }
    const char *const end = fgets(line, sizeof(line), file) == NULL ? NULL : strrchr(line, ')');
    (void)fclose(file); /* was only read */
    if (end == NULL ||
        sscanf(end + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &ticks) != 1) {
        return NAN;
    }
    struct timespec up = {0};
    (void)clock_gettime(CLOCK_BOOTTIME, &up); /* cannot fail with this clock */
    const double up_s = (double)up.tv_sec + (double)up.tv_nsec / 1e9;
    return (double)clock_wall_us() / 1e6 - up_s + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static struct metrics_process
look_at_process(struct board *board)
{
    struct config *const config = board_config(board);
    const struct metrics_process process = {
        .resident_bytes = resident_bytes(),
        .cpu_s = cpu_s(),
        .started_s = started_s(),
        .sources = config == NULL ? 0 : config->source_count,
    };
    config_free(config);
    return process;
}

void
metrics_tell(FILE *out, struct board *board, struct facts *facts, bool open, uint64_t now_us)
{
    struct board_view *views;
    struct board_template *templates;
    const size_t count = board_read(board, now_us, &views);
    const size_t template_count = board_templates(board, &templates);
    const struct metrics_process process = look_at_process(board);
    struct metric_subject *const subjects =
        memory_array(count + template_count + 1, sizeof(*subjects));
    struct facts_figures *const figures = memory_array(count + 1, sizeof(*figures));
    facts_want(facts, now_us);
    for (size_t i = 0; i < count; i++) {
        facts_get(facts, views[i].source, now_us, &figures[i]);
        subjects[i] = (struct metric_subject){
            .now_us = now_us, .process = &process, .view = &views[i], .figures = &figures[i]};
    }
    for (size_t i = 0; i < template_count; i++) {
        subjects[count + i] = (struct metric_subject){
            .now_us = now_us, .process = &process, .template = &templates[i]};
    }
    metrics_write(out, subjects, count + template_count, &process, open);
    memory_free(templates);
    memory_free(figures);
    memory_free(subjects);
    memory_free(views);
}
