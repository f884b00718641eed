/* Up to which id, and which place of the log, the outbox is final. The proof is in relay/ports/watermark.h. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "tests/integration/db_fixture.h"
#include "tests/integration/source_fixture.h"

#define WRITERS 8
#define LOOKS 400

static struct db *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = db_create();
    db_load_outbox(admin);
    config = source_fixture_here(10 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    db_drop(admin);
}

TestSuite(source_watermark, .init = create, .fini = drop, .timeout = 120);

static void
write_row(struct db *conn)
{
    db_exec(conn, "insert into outbox (payload) values ('x')");
}

static struct source_final
ask(void)
{
    source->ops->watermark(source, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_FINAL).final;
}

static int64_t
final_id(void)
{
    return ask().id;
}

/* Other tests prepare transactions on the same server, which also hold ids back for a while. */
static struct source_final
await_final(int64_t id)
{
    const uint64_t until_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    for (;;) {
        const struct source_final final = ask();
        if (final.id == id) {
            return final;
        }
        cr_assert_lt(final.id, id);
        cr_assert_lt(clock_monotonic_us(), until_us, "it stays at %" PRId64, final.id);
        (void)usleep(5000); /* shorter is fine */
    }
}

static struct fetch
fetch_all_after(int64_t id)
{
    return (struct fetch){.after_id = id, .rows_max = 100, .bytes_max = 4 << 20};
}

static struct batch *
fetch_after(int64_t id)
{
    return source_fixture_fetch(source, fetch_all_after(id));
}

Test(source_watermark, final_ids_wait_for_those_who_write)
{
    struct db *late = db_connect();
    struct db *early = db_connect();
    cr_assert_eq(final_id(), 0, "no id was given out");
    write_row(early);
    (void)await_final(1);
    db_exec(late, "begin");
    write_row(late);
    write_row(early);
    cr_assert_eq(final_id(), 1, "2 may still come");
    db_exec(early, "begin");
    write_row(early);
    cr_assert_eq(final_id(), 1);
    struct batch *batch = fetch_after(0);
    cr_assert(batch->count == 2 && batch->rows[0].id == 1 && batch->rows[1].id == 3);
    batch_free(batch);
    db_exec(late, "commit");
    (void)await_final(3); /* a later writer does not matter */
    batch = fetch_after(1);
    cr_assert(batch->count == 2 && batch->rows[0].id == 2 && batch->rows[1].id == 3,
              "the late row comes first");
    batch_free(batch);
    db_exec(early, "rollback");
    (void)await_final(4);
    db_close(early);
    db_close(late);
}

/* A session that only read the table, or writes another table, is not a writer. */
Test(source_watermark, final_ids_do_not_wait_for_anything_else)
{
    struct db *other = db_connect();
    db_exec(other, "create table elsewhere (n int)");
    db_exec(other, "begin");
    db_exec(other, "insert into elsewhere values (1)");
    db_exec(other, "select * from outbox");
    write_row(admin);
    (void)await_final(1);
    const int64_t id = 1;
    source->ops->settle(source, &id, 1, clock_monotonic_us());
    source->ops->watermark(source, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    cr_assert_eq(source_fixture_expect(source, SOURCE_FINAL).final.id, 1,
                 "its own deletes do not matter");
    db_close(other);
}

/* A session that locks the whole table has another kind of lock. */
Test(source_watermark, final_ids_wait_for_who_has_locked_the_table)
{
    struct db *other = db_connect();
    write_row(admin);
    (void)await_final(1);
    db_lock_outbox(other);
    write_row(other);
    source->ops->watermark(source, clock_monotonic_us()); /* it may wait for the lock, too */
    db_unlock_outbox(other);
    cr_assert_leq(source_fixture_expect(source, SOURCE_FINAL).final.id, 2);
    (void)await_final(2);
    db_close(other);
}

/* ---- prepared transactions ------------------------------------------------------------------------------ */

/* A session that wrote row 1, which it is about to prepare, while row 2 is committed by another one. */
static struct db *
begin_late(void)
{
    struct db *late = db_connect();
    db_prepare_begin(late, "late");
    write_row(late);
    write_row(admin);
    return late;
}

Test(source_watermark, final_ids_wait_for_prepared_transactions)
{
    struct db *late = begin_late();
    cr_assert_eq(final_id(), 0, "1 may still come");
    db_prepare_end(late, "late");
    cr_assert_eq(final_id(), 0, "prepared is not over");
    db_end_session(admin, db_session(late));
    db_close(late);
    cr_assert_eq(final_id(), 0, "nor is it when its session is gone");
    write_row(admin);
    cr_assert_eq(final_id(), 0);
    db_end_prepared(admin, "late", true);
    (void)await_final(3);
}

/* It was prepared before the first look, and its session has ended. */
Test(source_watermark, final_ids_wait_for_what_was_prepared_before)
{
    struct db *late = begin_late();
    db_prepare_end(late, "late");
    db_end_session(admin, db_session(late));
    db_close(late);
    cr_assert_eq(final_id(), 0);
    db_end_prepared(admin, "late", false);
    (void)await_final(2);
}

/* ---- positions ------------------------------------------------------------------------------------------ */

static log_position
log_end(void)
{
    return source_fixture_kind()->log_end(admin);
}

Test(source_watermark, final_positions_wait_for_those_who_write)
{
    struct db *late = db_connect();
    write_row(admin);
    const log_position first = log_end();
    struct source_final final = await_final(1);
    cr_assert_geq(final.position, first, "nobody writes");
    cr_assert_leq(final.position, final.log_end);
    db_exec(late, "begin");
    write_row(late);
    const log_position begun = log_end();
    write_row(admin);
    const log_position committed = log_end();
    cr_assert_gt(committed, begun);
    final = ask();
    cr_assert_lt(final.position, committed, "2 may still come");
    cr_assert_geq(final.log_end, committed);
    db_exec(late, "commit");
    final = await_final(3);
    cr_assert_geq(final.position, committed);
    db_close(late);
}

/* What was committed before the ownership began does not need a second look. */
Test(source_watermark, the_first_final_position_is_behind_what_was_committed_before)
{
    write_row(admin);
    const log_position end = log_end();
    source->ops->free(source);
    source = source_fixture_own(&config);
    const struct source_final final = await_final(1);
    cr_assert_geq(final.position, end);
    cr_assert_leq(final.position, final.log_end);
}

/* ---- stretches ------------------------------------------------------------------------------------------ */

/* With a lease of 10 s, each stretch has 1,000,000 ids. */
Test(source_watermark, walks_over_ids_without_rows_in_stretches)
{
    write_row(admin);
    source_fixture_kind()->next_id(admin, 5000000);
    write_row(admin);
    write_row(admin);
    (void)await_final(5000001);
    struct batch *batch = fetch_after(INT64_MIN);
    cr_assert(batch->count == 1 && batch->rows[0].id == 1);
    cr_assert_not(batch->complete, "it has seen a stretch only");
    batch_free(batch);
    batch = fetch_after(1);
    cr_assert(batch->count == 2 && batch->rows[0].id == 5000000 && batch->complete);
    batch_free(batch);
    batch = fetch_after(5000001);
    cr_assert(batch->count == 0 && batch->complete);
    batch_free(batch);
}

/* ---- many writers --------------------------------------------------------------------------------------- */

static atomic_bool stop;

/* Transactions of one to three rows, with pauses within and between; a third of them is rolled back. */
static void *
write_at_random(void *argument)
{
    struct random random;
    struct db *conn = db_connect();
    random_seed(&random, (uint64_t)(uintptr_t)argument + clock_monotonic_us());
    while (!atomic_load(&stop)) {
        db_exec(conn, "begin");
        for (uint64_t rows = random_between(&random, 1, 3); rows > 0; rows--) {
            write_row(conn);
            (void)usleep((useconds_t)random_between(&random, 0, 4000));
        }
        db_exec(conn, random_between(&random, 1, 3) == 1 ? "rollback" : "commit");
        (void)usleep((useconds_t)random_between(&random, 0, 2000));
    }
    db_close(conn);
    return NULL;
}

static int64_t
count_up_to(int64_t id)
{
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "select count(*) from outbox where id <= %" PRId64, id);
    return db_int(admin, sql);
}

/* No row appears at or below a final id. */
Test(source_watermark, no_row_comes_below_what_is_final)
{
    static int64_t final[LOOKS];
    static int64_t seen[LOOKS];
    pthread_t writers[WRITERS];
    for (size_t i = 0; i < WRITERS; i++) {
        cr_assert_eq(pthread_create(&writers[i], NULL, write_at_random, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 0; i < LOOKS; i++) {
        final[i] = final_id();
        seen[i] = count_up_to(final[i]);
        cr_assert(i == 0 || final[i] >= final[i - 1]);
    }
    const uint64_t until_us = clock_monotonic_us() + 30 * CLOCK_S_US;
    while (final_id() <= 50) {
        cr_assert_lt(clock_monotonic_us(), until_us, "steady writing holds it back");
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < WRITERS; i++) {
        cr_assert_eq(pthread_join(writers[i], NULL), 0);
    }
    for (size_t i = 0; i < LOOKS; i++) {
        cr_assert_eq(count_up_to(final[i]), seen[i], "rows have come up to %" PRId64, final[i]);
    }
}
