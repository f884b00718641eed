/* Reading the log of a server with other settings, or one that removes log, crashes or is replaced: each test has its own
 * server. The rest: test_source_tail.c. */
#include <criterion/criterion.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/source_tail_server_fixture.h"
#include "tests/integration/standby_fixture.h"

static void
create_with_standby(void)
{
    servers_start(db_server());
    standby_follow(false);
    tail_create();
}

TestSuite(source_tail_server, .init = tail_server_create, .fini = tail_server_drop, .timeout = 240);
TestSuite(source_tail_standby, .init = create_with_standby, .fini = tail_server_drop,
          .timeout = 240);

static void
reconnect(void)
{
    db_close(admin);
    admin = db_connect();
}

/* Waits until it owns the outbox again; it may fail to connect before. With a request it notices at once that its server
 * was restarted. */
static void
expect_return(void)
{
    struct source_event event;
    source->ops->watermark(source, clock_monotonic_us());
    do {
        event = source_fixture_next(source);
        source_event_done(&event);
        cr_assert(event.type != SOURCE_LOST || event.lost.class != ERROR_CONFIG, "%s",
                  event.lost.text);
    } while (event.type != SOURCE_OWNED);
}

/* Returns the id. A server may skip some after a crash or a promotion. */
static int64_t
insert(void)
{
    tail_run("insert into outbox (payload) values ('x')");
    return db_int(admin, "select max(id) from outbox");
}

static void
expect_row(int64_t id)
{
    tail_expect_rows(id, 1, 1);
}

/* ---- how the server is set up --------------------------------------------------------------------------- */

static void
restarted(void)
{
    expect_return();
    reconnect();
}

static void
harm(const struct source_fixture_lack *lack)
{
    if (lack->line == NULL) {
        tail_run(lack->harm);
    } else {
        servers_restart_with(lack->line); /* the previous line is removed */
        restarted();
    }
}

/* With the watermark a source learns whether the server lists the writers. */
static void
begin(void)
{
    (void)source_fixture_watermark(source);
    (void)source_fixture_tail(source, 0);
}

static void
expect_told(const struct source_fixture_lack *lack)
{
    (void)source_fixture_watermark(source);
    tail_expect_refused(lack->what, lack->remedy);
    if (lack->line == NULL) {
        tail_run(lack->mend);
        begin(); /* it notices at once */
        source->ops->tail_end(source, clock_monotonic_us());
    }
}

Test(source_tail_server, what_its_log_lacks_is_told_and_can_be_mended)
{
    for (const struct source_fixture_lack *lack = source_fixture_kind()->lacks; lack->what != NULL;
         lack++) {
        harm(lack);
        expect_told(lack);
    }
    servers_restart_without();
    restarted();
    begin();
    expect_row(insert());
}

/* ---- much of it ----------------------------------------------------------------------------------------- */

/* AddressSanitizer keeps freed memory for some time, so nothing can be measured with it. */
static long
memory_kib(void)
{
    struct rusage usage;
#if defined(__SANITIZE_ADDRESS__)
    return 0;
#endif
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* With its own server, because large rows of others in a shared binary log would be in memory once, too. */
Test(source_tail_server, a_huge_transaction_takes_no_memory)
{
    (void)source_fixture_tail(source, 0);
    const long before_kib = memory_kib();
    tail_run("insert into outbox (payload) select bytes(repeat('x', 1000)) from " DB_SERIES(
        "1", "40000"));
    tail_expect_rows(1, 1, 40000);
    cr_assert_lt(memory_kib() - before_kib, 8 << 10);
}

/* ---- what is not there any more ------------------------------------------------------------------------- */

/* Takes the next event, which must have these words: true if it is a notice, and the source continues with a later part of
 * the log; false if it cannot read the log. Neither asks an operator to act. */
static bool
continues_by_itself(const char *words)
{
    struct source_event event = source_fixture_next(source);
    while (event.type == SOURCE_ALIVE) {
        event = source_fixture_next(source);
    }
    const bool continues = event.type == SOURCE_NOTICE;
    cr_assert(continues || event.type == SOURCE_NOT_TAILING, "event %d", event.type);
    const struct error error = continues ? event.notice.error : event.not_tailing;
    cr_assert_neq(error.class, ERROR_CONFIG, "%s", error.text);
    tail_expect_words(&error, words);
    return continues;
}

/* Where the log ended when the source last asked. */
static log_position
table_end(void)
{
    source->ops->watermark(source, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_FINAL).final.log_end;
}

/* The connection that reads the log ends as well, because MariaDB and MySQL keep a file that is being read. */
Test(source_tail_server, log_that_was_thrown_away)
{
    (void)source_fixture_tail(source, 0);
    expect_row(insert());
    const log_position position = tail_log_end();
    (void)insert(); /* only the table has it then */
    tail_end_reader();
    db_forget_log(admin);
    (void)source_fixture_end_of_log(source, ERROR_CONNECTION); /* the words do not matter */
    source->ops->tail_begin(source, position, clock_monotonic_us());
    if (!continues_by_itself(source_fixture_kind()->words_log_gone)) {
        source->ops->tail_begin(source, table_end(), clock_monotonic_us());
    }
    cr_assert_gt(source_fixture_expect(source, SOURCE_TAILING).tailing, position);
    expect_row(insert());
}

/* ---- servers -------------------------------------------------------------------------------------------- */

/* PostgreSQL sets the slot back to the position that it saved last. MariaDB and MySQL begin another file, and the source does
 * not know the columns of earlier ones any more. Reading begins there, or at the requested position if that is later. */
Test(source_tail_server, a_crash)
{
    (void)source_fixture_tail(source, 0);
    expect_row(insert());
    const log_position safe = tail_log_end();
    source->ops->tail_safe(source, safe, clock_monotonic_us());
    const int64_t before = insert();
    expect_row(before);
    servers_do_database("kill");
    servers_do_database("start");
    reconnect();
    expect_return();
    const log_position begun = source_fixture_tail(source, 0);
    cr_assert(db_is_mysql() ? begun > safe : begun <= safe);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_eq(source_fixture_tail(source, safe), begun > safe ? begun : safe);
    if (begun <= safe) {
        expect_row(before);
    }
    expect_row(insert());
}

/* The row that was not read is in the table of the new server. */
Test(source_tail_standby, a_standby_that_is_promoted)
{
    (void)source_fixture_tail(source, 0);
    expect_row(insert());
    (void)insert(); /* not read */
    standby_promote();
    expect_return();
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    for (const char *const *words = standby_promoted_words(); *words != NULL; words++) {
        tail_expect_notice(*words);
    }
    (void)source_fixture_expect(source, SOURCE_TAILING); /* at any position */
    struct batch *batch = source_fixture_fetch_after(source, 0);
    cr_assert_eq(batch->count, 2);
    batch_free(batch);
    reconnect();
    expect_row(insert());
}
