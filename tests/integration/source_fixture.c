#include "tests/integration/source_fixture.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/integration/source_fixture_private.h"

#define WAIT_US (30 * CLOCK_S_US)
/* Far above what a call takes; a call that waits for the server would take as long as the server. */
#define BLOCKED_US (10 * CLOCK_S_US)
#define LOG_BYTES_MAX (4 << 20)

const struct source_fixture_kind *
source_fixture_kind(void)
{
    return db_choose(&source_fixture_postgres, &source_fixture_mysql);
}

struct source_config
source_fixture_config(const char *dsn, uint64_t takeover_us)
{
    static char name[] = "orders";
    static char exchange[] = "";
    return (struct source_config){
        .name = name,
        .kind = source_fixture_kind()->kind,
        .dsn = strdup(dsn),
        .exchange = exchange,
        .takeover_us = takeover_us,
        .keep_sent_bytes = 1 << 20,
    };
}

struct source_config
source_fixture_here(uint64_t takeover_us)
{
    return source_fixture_config(db_dsn(), takeover_us);
}

struct source_config
source_fixture_here_with(const char *more, uint64_t takeover_us)
{
    char dsn[2000];
    (void)snprintf(dsn, sizeof(dsn), "%s %s", db_dsn(), more); /* fits */
    return source_fixture_config(dsn, takeover_us);
}

struct source_config
source_fixture_here_as(const char *user, uint64_t takeover_us)
{
    char more[200];
    (void)snprintf(more, sizeof(more), "user=%s password=secret", user); /* fits */
    return source_fixture_here_with(more, takeover_us);
}

void
source_fixture_insert(struct db *db, int count)
{
    char *sql = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&sql, &size);
    cr_assert_not_null(text);
    (void)fprintf(text, "insert into outbox (routing_key, payload) values ");
    for (int i = 1; i <= count; i++) {
        (void)fprintf(text, "%s('k%d', 'x')", i > 1 ? ", " : "", i);
    }
    (void)fclose(text);
    db_exec(db, sql);
    free(sql);
}

struct source *
source_fixture_open(const struct source_config *config)
{
    struct source *source = NULL;
    struct error error;
    cr_assert(config->kind->source_new(config, &source, &error), "%s", error.text);
    return source;
}

/* False once `until_us` is reached. */
static bool
turn(struct source *source, uint64_t until_us)
{
    const uint64_t now_us = clock_monotonic_us();
    const uint64_t deadline_us = source->ops->deadline_us(source);
    const uint64_t wake_us = deadline_us < until_us ? deadline_us : until_us;
    struct pollfd polls[SOURCE_POLLS_MAX];
    source->ops->polls(source, polls);
    (void)poll(polls, SOURCE_POLLS_MAX, clock_poll_timeout_ms(now_us, wake_us));
    const uint64_t before_us = clock_monotonic_us();
    source->ops->process(source, polls, before_us);
    cr_assert_lt(clock_monotonic_us() - before_us, BLOCKED_US, "a call blocked");
    return before_us < until_us;
}

void
source_fixture_turn(struct source *source)
{
    cr_assert(turn(source, clock_monotonic_us() + WAIT_US), "nothing happens");
}

struct source_event
source_fixture_next(struct source *source)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    struct source_event event;
    while (!source->ops->next(source, &event)) {
        cr_assert(turn(source, until_us), "no event in time");
    }
    return event;
}

struct source_event
source_fixture_expect(struct source *source, enum source_event_type type)
{
    struct source_event event = source_fixture_next(source);
    while (event.type != type && (event.type == SOURCE_ALIVE || event.type == SOURCE_NOTICE)) {
        event = source_fixture_next(source);
    }
    cr_assert_eq(event.type, type, "event %d instead of %d: %s", event.type, type,
                 event.type == SOURCE_LOST          ? event.lost.text
                 : event.type == SOURCE_NOT_TAILING ? event.not_tailing.text
                                                    : "");
    return event;
}

struct source_event
source_fixture_await_owned(struct source *source)
{
    struct source_event event = source_fixture_next(source);
    while (event.type == SOURCE_STANDBY || event.type == SOURCE_ALIVE ||
           event.type == SOURCE_NOTICE) {
        event = source_fixture_next(source);
    }
    cr_assert_eq(event.type, SOURCE_OWNED, "event %d: %s", event.type,
                 event.type == SOURCE_LOST ? event.lost.text : "");
    return event;
}

struct source *
source_fixture_own(const struct source_config *config)
{
    struct source *source = source_fixture_open(config);
    (void)source_fixture_await_owned(source); /* that it does is all that counts */
    return source;
}

void
source_fixture_close(struct source *source, struct source_config *config)
{
    source->ops->free(source);
    free(config->dsn);
}

struct error
source_fixture_expect_loss(struct source *source)
{
    const struct error error = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(error.class, ERROR_CONNECTION, "%s", error.text);
    return error;
}

void
source_fixture_expect_return(struct source *source)
{
    struct source_event event;
    do {
        event = source_fixture_next(source);
        cr_assert(event.type == SOURCE_LOST || event.type == SOURCE_STANDBY ||
                  event.type == SOURCE_OWNED);
        cr_assert(event.type != SOURCE_LOST || event.lost.class != ERROR_CONFIG, "%s",
                  event.lost.text);
    } while (event.type != SOURCE_OWNED);
    struct batch *batch = source_fixture_fetch_after(source, 0);
    cr_assert_eq(batch->count, 2);
    batch_free(batch);
}

struct batch *
source_fixture_fetch_after(struct source *source, int64_t id)
{
    return source_fixture_fetch(
        source, (struct fetch){.after_id = id, .rows_max = 1000, .bytes_max = 4 << 20});
}

struct batch *
source_fixture_fetch(struct source *source, struct fetch fetch)
{
    source->ops->fetch(source, &fetch, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_ROWS).rows;
}

int64_t
source_fixture_watermark(struct source *source)
{
    source->ops->watermark(source, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_FINAL).final.id;
}

void
source_fixture_await_final(struct source *source, int64_t id)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    while (source_fixture_watermark(source) < id) {
        cr_assert_lt(clock_monotonic_us(), until_us);
        (void)usleep(5000); /* shorter is fine */
    }
}

struct source_held
source_fixture_hold(struct source *source, const struct hold *holds, size_t count)
{
    source->ops->hold(source, holds, count, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_HELD).held;
}

struct source_released
source_fixture_release(struct source *source, struct release release)
{
    source->ops->release(source, &release, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_RELEASED).released;
}

struct source_heads
source_fixture_heads(struct source *source)
{
    source->ops->heads(source, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_HEADS).heads;
}

struct source_woken
source_fixture_wake(struct source *source, uint32_t rows_max)
{
    source->ops->wake(source, rows_max, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_WOKEN).woken;
}

/* Whether it is withheld, which it must be if it is the next of those. */
static bool
expect_withheld(const struct row *row, const int64_t *next_withheld, const char *why)
{
    const bool meant = next_withheld != NULL && *next_withheld == row->id;
    cr_assert_eq(row->withheld != NULL, meant, "%lld: %s", (long long)row->id,
                 row->withheld != NULL ? row->withheld : "it was read");
    if (meant) {
        cr_assert_not_null(strstr(row->withheld, why), "%s", row->withheld);
        cr_assert_eq(row->key.size + row->headers.size + row->payload.size, 0);
    }
    return meant;
}

size_t
source_fixture_read_all(struct source *source, enum fetch_kind kind, int64_t rows,
                        const int64_t *withheld, size_t withheld_count, const char *why)
{
    struct fetch fetch = {
        .kind = kind, .after_id = INT64_MIN, .rows_max = 1000, .bytes_max = 4 << 20};
    size_t found = 0;
    size_t batches = 0;
    for (bool complete = false; !complete; batches++) {
        struct batch *batch = source_fixture_fetch(source, fetch);
        for (size_t i = 0; i < batch->count; i++, rows--) {
            const struct row *row = &batch->rows[i];
            found += expect_withheld(row, found < withheld_count ? &withheld[found] : NULL, why);
            fetch.after_id = row->id;
        }
        complete = batch->complete;
        batch_free(batch);
    }
    cr_assert_eq(rows, 0);
    cr_assert_eq(found, withheld_count);
    return batches;
}

struct source_failures
source_fixture_settle(struct source *source, size_t count)
{
    int64_t *const ids = calloc(count, sizeof(*ids));
    cr_assert_not_null(ids);
    for (size_t i = 0; i < count; i++) {
        ids[i] = (int64_t)i + 1;
    }
    source->ops->settle(source, ids, count, clock_monotonic_us());
    const struct source_event event = source_fixture_expect(source, SOURCE_SETTLED);
    free(ids);
    return event.settled.failures;
}

void
source_fixture_expect_failures(struct source_failures failures, const int64_t *ids, size_t count,
                               const char *why)
{
    cr_assert_eq(failures.count, count, "%zu", failures.count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(failures.items[i].id, ids[i]);
        cr_assert_not_null(strstr(failures.items[i].reason, why), "%s", failures.items[i].reason);
    }
    source_failures_clear(&failures);
}

log_position
source_fixture_tail(struct source *source, log_position position)
{
    source->ops->tail_begin(source, position, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_TAILING).tailing;
}

struct source_log
source_fixture_log(struct source *source, uint32_t rows_max)
{
    source->ops->tail_more(source, rows_max, LOG_BYTES_MAX, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_LOG).log;
}

struct error
source_fixture_end_of_log(struct source *source, enum error_class class)
{
    struct source_event event = {.type = SOURCE_LOG};
    while (event.type == SOURCE_LOG || event.type == SOURCE_ALIVE) {
        if (event.type == SOURCE_LOG) {
            source->ops->tail_more(source, 1000, 1 << 20, clock_monotonic_us());
        }
        event = source_fixture_next(source);
        source_event_done(&event);
    }
    cr_assert_eq(event.type, SOURCE_NOT_TAILING, "%d", event.type);
    cr_assert_eq(event.not_tailing.class, class, "%s", event.not_tailing.text);
    return event.not_tailing;
}

/* Requests are carried out in their order, so the answer to a later one says that it is done. */
void
source_fixture_status(struct source *source, const struct source_status *status)
{
    source->ops->status(source, status, clock_monotonic_us());
    (void)source_fixture_watermark(source);
}
