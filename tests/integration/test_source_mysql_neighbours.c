/* The effect of others' work on the same server on a MySQL source. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "relay/mysql/link.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

#define ROWS_MAX 1000
/* Longer than any statement of these tests, during which the source does no work. */
#define TAKEOVER_US (60 * CLOCK_S_US)

static MYSQL *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = source_mysql_fixture_create();
    config = source_mysql_fixture_config(TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql_neighbours, .init = create, .fini = drop, .timeout = 120);

static void
run(const char *sql)
{
    mysql_fixture_exec(admin, sql);
}

/* The id of the first row in the next batch that is not empty. */
static int64_t
next_id(size_t *ret_count)
{
    *ret_count = 0;
    int64_t id = 0;
    while (*ret_count == 0) {
        const struct source_log log = source_fixture_log(source, ROWS_MAX);
        *ret_count = log.batch->count;
        id = *ret_count > 0 ? log.batch->rows[0].id : 0;
        batch_free(log.batch);
    }
    return id;
}

/* ---- the log of others comes faster than it is read ---- */

static atomic_bool log_keeps_coming;

/* Replaces poll in this program (linked with --wrap): it says that more log has come whenever the source looks for it. */
int __real_poll(struct pollfd *polls, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *polls, nfds_t count, int timeout_ms);

int
__wrap_poll(struct pollfd *polls, nfds_t count, int timeout_ms)
{
    return atomic_load(&log_keeps_coming) && count == 1 && timeout_ms == 0
               ? 1
               : __real_poll(polls, count, timeout_ms);
}

/* Between the two rows are 64 MiB of another table's. */
Test(source_mysql_neighbours, rows_do_not_wait_for_the_end_of_the_log_of_others)
{
    size_t count;
    const log_position position = source_fixture_tail(source, 0);
    source->ops->tail_end(source, clock_monotonic_us());
    run("create table other (bytes longblob)");
    run("insert into outbox (payload) values ('1')");
    run("insert into other with recursive n as (select 1 as i union all select i + 1 from n where "
        "i < 64) select repeat('x', 1 << 20) from n");
    run("insert into outbox (payload) values ('2')");
    (void)source_fixture_tail(source, position);
    log_keeps_coming = true;
    cr_assert_eq(next_id(&count), 1);
    cr_assert_eq(count, 1, "the first row has waited for the second");
    cr_assert_eq(next_id(&count), 2);
}

/* ---- what is large and compressed in the log of others is read for long ---- */

struct long_job {
    struct my_job job;
    const atomic_bool *stopping;
};

static bool
run_until_it_is_to_stop(struct my_session *session, struct my_job *job)
{
    (void)session;
    while (!atomic_load(((struct long_job *)job)->stopping)) {
        (void)poll(NULL, 0, 1);
    }
    return true;
}

static void
never_called(struct source_mysql *self, struct my_job *job, uint64_t now_us)
{
    (void)self;
    (void)job;
    (void)now_us;
    cr_assert_fail("the link calls nobody by itself");
}

Test(source_mysql_neighbours, a_link_that_is_stopped_says_so_to_what_is_under_way)
{
    struct error error;
    struct my_link *link = my_link_start(&config, -1, never_called, &error);
    cr_assert_not_null(link, "%s", error.text);
    struct long_job job = {.job = {.run = run_until_it_is_to_stop, .words = "for nothing"},
                           .stopping = my_link_stopping(link)};
    struct pollfd connected = {.fd = my_link_fd(link), .events = POLLIN};
    cr_assert_eq(poll(&connected, 1, -1), 1);
    my_link_put(link, &job.job);
    my_link_stop(link, 0);
}

/* ---- locks ---- */

/* Two rows: the source also tries each alone, which does not help. */
Test(source_mysql_neighbours, a_table_that_is_locked_is_waited_for)
{
    MYSQL *other = mysql_fixture_connect();
    const int64_t ids[] = {1, 2};
    source_fixture_close(source, &config);
    config = source_mysql_fixture_config(8 * CLOCK_S_US); /* each of its waits takes a second */
    source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 2);
    mysql_fixture_exec(other, "lock tables outbox read");
    source->ops->settle(source, ids, 2, clock_monotonic_us());
    struct source_event event = source_fixture_next(source);
    while (event.type == SOURCE_ALIVE) {
        event = source_fixture_next(source);
    }
    cr_assert_eq(event.type, SOURCE_NOTICE, "%d", event.type);
    cr_assert_not_null(strstr(event.notice.error.text, "somebody has locked the outbox"));
    mysql_close(other);
    event = source_fixture_expect(source, SOURCE_SETTLED);
    cr_assert_eq(event.settled.failures.count, 0);
    source_event_done(&event);
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox"), 0);
}

/* ---- ids that begin anew ---- */

static void
await_final(int64_t id)
{
    while (source_fixture_watermark(source) != id) {
        (void)poll(NULL, 0, 5);
    }
}

static void
expect_ids_anew(void)
{
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_not_null(strstr(lost.text, "ids of the outbox begin anew"), "%s", lost.text);
    (void)source_fixture_await_owned(source);
}

/* MySQL does not show the next id of a truncated table until it has a row. */
Test(source_mysql_neighbours, a_truncated_outbox_ends_the_ownership)
{
    source_mysql_fixture_insert(admin, 3);
    await_final(3);
    run("truncate outbox");
    source_mysql_fixture_insert(admin, 1);
    source->ops->watermark(source, clock_monotonic_us());
    expect_ids_anew();
    await_final(1);
    struct batch *batch =
        source_fixture_fetch(source, (struct fetch){.rows_max = 100, .bytes_max = 4 << 20});
    cr_assert(batch->count == 1 && batch->rows[0].id == 1);
    batch_free(batch);
}

/* No id is waiting to become final. */
Test(source_mysql_neighbours, so_does_a_counter_that_was_set_back)
{
    run("alter table outbox auto_increment = 100");
    source_mysql_fixture_insert(admin, 1);
    await_final(100);
    run("delete from outbox");
    run("alter table outbox auto_increment = 1");
    source->ops->wake(source, 1, clock_monotonic_us());
    expect_ids_anew();
}

/* ---- a cluster ------------------------------------------------------------------------------------------ */

static void
write_status(void)
{
    const struct source_status status = {.in_flight = 0};
    source_fixture_status(source, &status);
}

/* Writes the report of a relay that owns the outbox on another server of a cluster. */
static void
write_foreign_status(void)
{
    run("replace into outbox_relay (source, host, pid, session, version, started_at, owned_since, "
        "in_flight, confirmed, rate) "
        "values ('orders', 'elsewhere', 7, connection_id(), '1', utc_timestamp(6), "
        "utc_timestamp(6), 0, 0, 0)");
}

static bool
stands_by(void)
{
    struct source_event event;
    do {
        event = source_fixture_next(source);
    } while (event.type != SOURCE_STANDBY && event.type != SOURCE_OWNED);
    return event.type == SOURCE_STANDBY;
}

/* Promise: if two relays work on an outbox through two servers of a cluster, and so both have an ownership, one of them
 * notices the other, says so, and stands by for as long as the other is there. */
Test(source_mysql_neighbours, a_relay_that_owns_the_outbox_on_another_server)
{
    write_foreign_status(); /* of an earlier owner */
    write_status();
    write_status();
    write_foreign_status();
    source->ops->status(source, &(struct source_status){.in_flight = 0}, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_not_null(strstr(lost.text, "process 7 on \"elsewhere\""), "%s", lost.text);
    cr_assert(stands_by());
    run("delete from outbox_relay");
    (void)source_fixture_await_owned(source);
    write_status();
}
