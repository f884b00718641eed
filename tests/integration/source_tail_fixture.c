#include "tests/integration/source_tail_fixture.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

struct db *admin;
struct source_config config;
struct source *source;

void
tail_create(void)
{
    admin = db_create();
    db_load_outbox(admin);
    db_load_log(admin);
    config = source_fixture_here(TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
    source = source_fixture_own(&config);
}

void
tail_drop(void)
{
    source_fixture_close(source, &config);
    db_drop(admin);
}

void
tail_reopen(void)
{
    source->ops->free(source);
    source = source_fixture_own(&config);
}

void
tail_run(const char *sql)
{
    db_exec(admin, sql);
}

void
tail_expect_rows(int64_t first, int64_t step, size_t count)
{
    log_position position = 0;
    for (size_t seen = 0; seen < count;) {
        const struct source_log event = source_fixture_log(source, ROWS_MAX);
        for (size_t i = 0; i < event.batch->count; i++, seen++) {
            const struct row *row = &event.batch->rows[i];
            cr_assert_eq(row->id, first + (int64_t)seen * step, "%lld instead of %lld",
                         (long long)row->id, (long long)(first + (int64_t)seen * step));
            cr_assert_geq(row->position, position, "not in the order of the commits");
            position = row->position;
        }
        batch_free(event.batch);
    }
}

struct source_log
tail_first_rows(uint32_t rows_max)
{
    struct source_log event = source_fixture_log(source, rows_max);
    while (event.batch->count == 0) {
        batch_free(event.batch);
        event = source_fixture_log(source, rows_max);
    }
    return event;
}

log_position
tail_expect_position(log_position position)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    log_position last = 0;
    while (last < position) {
        const struct source_log event = source_fixture_log(source, ROWS_MAX);
        cr_assert_eq(event.batch->count, 0);
        cr_assert_gt(event.position, last, "an empty batch without news");
        cr_assert_lt(clock_monotonic_us(), until_us);
        last = event.position;
        batch_free(event.batch);
    }
    return last;
}

log_position
tail_log_end(void)
{
    return source_fixture_kind()->log_end(admin);
}

struct error tail_refusal(enum error_class class)
{
    const struct error error = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_assert_eq(error.class, class, "%s", error.text);
    return error;
}

void
tail_expect_words(const struct error *error, const char *words)
{
    cr_assert_not_null(strstr(error->text, words), "\"%s\" is not in: %s", words, error->text);
}

void
tail_expect_refused(const char *what, const char *remedy)
{
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    const struct error error = tail_refusal(ERROR_CONFIG);
    tail_expect_words(&error, what);
    tail_expect_words(&error, remedy);
}

void
tail_expect_notice(const char *words)
{
    const struct error error = source_fixture_expect(source, SOURCE_NOTICE).notice.error;
    tail_expect_words(&error, words);
}

static int64_t
reader(void)
{
    return db_int(admin, source_fixture_kind()->reader);
}

void
tail_end_reader(void)
{
    const int64_t session = reader();
    cr_assert_neq(session, 0);
    db_end_session(admin, session);
}

void
tail_await_no_reader(void)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    while (reader() != 0) {
        cr_assert_lt(clock_monotonic_us(), until_us);
        (void)usleep(1000); /* shorter is fine */
    }
}
