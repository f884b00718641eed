#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/http/metrics.h"

static const struct metrics_process process = {
    .resident_bytes = 8388608, .cpu_s = 1.25, .started_s = 1e9, .sources = 1};

static char *
write_metrics(const struct board_view *view, const struct facts_figures *figures, bool open)
{
    char *text = NULL;
    size_t size;
    FILE *const out = open_memstream(&text, &size);
    const struct metric_subject subject = {
        .now_us = 20 * CLOCK_S_US, .process = &process, .view = view, .figures = figures};
    cr_assert_not_null(out);
    metrics_write(out, &subject, 1, &process, open);
    cr_assert_eq(fclose(out), 0);
    return text;
}

static void
expect_line(const char *text, const char *line)
{
    const char *const at = strstr(text, line);
    const size_t length = strlen(line);
    cr_assert(at != NULL && (at == text || at[-1] == '\n') && at[length] == '\n',
              "no line %s in this: %s", line, text);
}

Test(http_metrics, of_a_source)
{
    struct board_view view = {.source = "orders",
                              .state = BOARD_OWNED,
                              .pause = PAUSE_DEGRADED,
                              .oldest_in_flight_us = 19500000,
                              .blocked_us = 1500000};
    const struct facts_figures figures = {
        .known = true,
        .told_us = 15 * CLOCK_S_US,
        .pending = 12,
        .has_oldest = true,
        .oldest_age_us = 2 * CLOCK_S_US,
        .held = {1, 2, 3, 4},
        .has_keeper = true,
        .keeper_retained = 4096,
        .keeper_condition = "unreserved",
        .keeper_limited = true,
        .keeper_left = 5,
        .vacuum = {true, 1000, true, 77},
        .reasons_known = true,
        .reasons = {.retrying = {[HELD_REASON_NACKED] = 2}, .dead = {[HELD_REASON_OTHER] = 3}},
        .log_known = true,
        .log_behind = 6};
    view.counts.confirmed = UINT64_C(9007199254740000);
    view.counts.refused_closed = 5;
    view.counts.limited_us = 250000;
    view.counts.repeated_connection = 6;
    view.counts.repeated_ownership = 7;
    histogram_add(&view.latency.publishing, 900);
    histogram_add(&view.latency.publishing, 1500);
    char *const text = write_metrics(&view, &figures, false);
    expect_line(text, "outbox_relay_state{source=\"orders\",state=\"owned\"} 1");
    expect_line(text, "outbox_relay_state{source=\"orders\",state=\"lost\"} 0");
    expect_line(text, "outbox_relay_paused{source=\"orders\",reason=\"degraded\"} 1");
    expect_line(text, "outbox_relay_paused{source=\"orders\",reason=\"broker\"} 0");
    expect_line(text, "outbox_relay_confirmed_messages_total{source=\"orders\"} 9007199254740000");
    expect_line(text, "outbox_relay_refused_messages_total{source=\"orders\",reason=\"closed\"} 5");
    expect_line(text, "outbox_relay_blocked_seconds_total{source=\"orders\"} 1.5");
    expect_line(text,
                "outbox_relay_repeated_messages_total{source=\"orders\",reason=\"connection\"} 6");
    expect_line(text,
                "outbox_relay_repeated_messages_total{source=\"orders\",reason=\"ownership\"} 7");
    expect_line(text, "outbox_relay_rate_limited_seconds_total{source=\"orders\"} 0.25");
    expect_line(text, "outbox_relay_oldest_in_flight_seconds{source=\"orders\"} 0.5");
    expect_line(text, "outbox_relay_confirm_seconds_bucket{source=\"orders\",le=\"0.0005\"} 0");
    expect_line(text, "outbox_relay_confirm_seconds_bucket{source=\"orders\",le=\"0.001\"} 1");
    expect_line(text, "outbox_relay_confirm_seconds_bucket{source=\"orders\",le=\"0.002\"} 2");
    expect_line(text, "outbox_relay_confirm_seconds_bucket{source=\"orders\",le=\"+Inf\"} 2");
    expect_line(text, "outbox_relay_confirm_seconds_count{source=\"orders\"} 2");
    expect_line(text, "outbox_relay_confirm_seconds_sum{source=\"orders\"} 0.0024");
    expect_line(text, "outbox_relay_pending_messages{source=\"orders\"} 12");
    expect_line(text, "outbox_relay_oldest_pending_seconds{source=\"orders\"} 7");
    expect_line(text, "outbox_relay_held_messages{source=\"orders\",state=\"dead\"} 4");
    expect_line(text, "outbox_relay_log_retained_bytes{source=\"orders\"} 4096");
    expect_line(text,
                "outbox_relay_log_slot_condition{source=\"orders\",condition=\"unreserved\"} 1");
    expect_line(text,
                "outbox_relay_log_slot_condition{source=\"orders\",condition=\"reserved\"} 0");
    expect_line(text, "outbox_relay_log_left_bytes{source=\"orders\"} 5");
    expect_line(text, "outbox_relay_held_retrying_messages{source=\"orders\",reason=\"nacked\"} 2");
    expect_line(text, "outbox_relay_held_retrying_messages{source=\"orders\",reason=\"more\"} 0");
    expect_line(text, "outbox_relay_held_dead_messages{source=\"orders\",reason=\"other\"} 3");
    expect_line(text, "outbox_relay_held_dead_messages{source=\"orders\",reason=\"more\"} 1");
    expect_line(text, "outbox_relay_log_behind_bytes{source=\"orders\"} 6");
    expect_line(text, "outbox_relay_dead_rows{source=\"orders\"} 1000");
    expect_line(text, "outbox_relay_oldest_snapshot_transactions{source=\"orders\"} 77");
    expect_line(text, "process_resident_memory_bytes 8388608");
    expect_line(text, "process_cpu_seconds_total 1.25");
    free(text);
}

Test(http_metrics, what_is_not_known_is_left_out)
{
    const struct board_view view = {.source = "orders"};
    const struct facts_figures nothing = {0};
    char *const text = write_metrics(&view, &nothing, false);
    expect_line(text, "outbox_relay_database_figures_up{source=\"orders\"} 0");
    cr_assert_null(strstr(text, "outbox_relay_pending_messages{"));
    cr_assert_null(strstr(text, "outbox_relay_held_messages{"));
    cr_assert_null(strstr(text, "outbox_relay_log_slot_active{"));
    cr_assert_null(strstr(text, " nan"));
    expect_line(text, "outbox_relay_state{source=\"orders\",state=\"starting\"} 1");
    expect_line(text, "outbox_relay_paused{source=\"orders\",reason=\"broker\"} 0");
    free(text);
}

Test(http_metrics, of_a_template)
{
    const struct board_view view = {.source = "shop-7"};
    const struct facts_figures nothing = {0};
    const struct board_template template = {.name = "shop-*",
                                            .tenants = 3,
                                            .refused = 2,
                                            .emptied = true,
                                            .failures = 5,
                                            .failing_us = 18500000};
    const struct metric_subject subjects[] = {
        {20 * CLOCK_S_US, &process, &view, &nothing, NULL},
        {20 * CLOCK_S_US, &process, NULL, NULL, &template},
    };
    char *text = NULL;
    size_t size;
    FILE *const out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    metrics_write(out, subjects, 2, &process, true);
    cr_assert_eq(fclose(out), 0);
    expect_line(text, "outbox_relay_state{source=\"shop-7\",state=\"starting\"} 1");
    expect_line(text, "outbox_relay_template_tenants{template=\"shop-*\"} 3");
    expect_line(text, "outbox_relay_template_refused_tenants{template=\"shop-*\"} 2");
    expect_line(text, "outbox_relay_template_tenants_kept{template=\"shop-*\"} 1");
    expect_line(text, "outbox_relay_template_failures_total{template=\"shop-*\"} 5");
    expect_line(text, "outbox_relay_template_failing_seconds{template=\"shop-*\"} 1.5");
    free(text);
}

Test(http_metrics, both_formats)
{
    const struct board_view view = {.source = "orders"};
    const struct facts_figures nothing = {0};
    char *const text = write_metrics(&view, &nothing, false);
    char *const open = write_metrics(&view, &nothing, true);
    expect_line(text, "# TYPE outbox_relay_blocked_seconds_total counter");
    expect_line(open, "# TYPE outbox_relay_blocked_seconds counter");
    expect_line(open, "# UNIT outbox_relay_blocked_seconds seconds");
    cr_assert_null(strstr(text, "# UNIT"));
    expect_line(text, "# TYPE outbox_relay_build_info gauge");
    expect_line(open, "# TYPE outbox_relay_build info");
    cr_assert_null(strstr(text, "# EOF"));
    cr_assert_str_eq(open + strlen(open) - strlen("# EOF\n"), "# EOF\n");
    free(text);
    free(open);
}

/* What OpenMetrics demands of names and units, and Prometheus of what it shows. */
Test(http_metrics, the_table_is_sound)
{
    for (size_t i = 0; i < metrics_count; i++) {
        const struct metric *const metric = &metrics[i];
        const size_t name = strlen(metric->name);
        const size_t unit = strlen(metric->unit);
        cr_assert(unit == 0 || (name > unit + 1 && metric->name[name - unit - 1] == '_' &&
                                strcmp(metric->name + name - unit, metric->unit) == 0),
                  "%s does not end in its unit", metric->name);
        cr_assert_eq((metric->read == NULL), (metric->type == METRIC_HISTOGRAM), "%s",
                     metric->name);
        cr_assert_eq(metric->label == NULL, metric->values == NULL, "%s", metric->name);
        cr_assert_null(strpbrk(metric->help, "\n\\"), "%s", metric->name);
        cr_assert_null(strstr(metric->name, "_total"), "%s", metric->name);
        for (size_t other = 0; other < i; other++) {
            cr_assert_str_neq(metric->name, metrics[other].name);
            cr_assert_leq(metrics[other].about, metric->about, "in the order of the reference");
        }
    }
}

static char *
read_file(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const file = fopen(path, "re");
    FILE *const memory = open_memstream(&text, &size);
    cr_assert(file != NULL && memory != NULL);
    for (int c; (c = fgetc(file)) != EOF;) {
        cr_assert_neq(fputc(c, memory), EOF);
    }
    cr_assert_eq(fclose(memory), 0);
    cr_assert_eq(fclose(file), 0);
    return text;
}

/* If this fails: outbox-relay metrics-reference > docs/METRICS.md */
Test(http_metrics, docs_are_up_to_date)
{
    char *made = NULL;
    size_t size = 0;
    FILE *const memory = open_memstream(&made, &size);
    cr_assert_not_null(memory);
    metrics_reference_print(memory);
    cr_assert_eq(fclose(memory), 0);
    char *const committed = read_file(SOURCE_ROOT "/docs/METRICS.md");
    cr_assert_str_eq(committed, made, "run: outbox-relay metrics-reference > docs/METRICS.md");
    free(committed);
    free(made);
}
