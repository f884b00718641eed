#include <criterion/criterion.h>

#include "relay/postgres/source_watermark.h"

static struct pg_watermark watermark;

static void
init(void)
{
    pg_watermark_init(&watermark);
}

static void
done(void)
{
    pg_watermark_done(&watermark);
}

TestSuite(postgres_source_watermark, .init = init, .fini = done);

static int64_t
observe(int64_t last_id, size_t count, const uint64_t *writers)
{
    pg_watermark_observe(&watermark, 0, last_id, writers, count);
    return watermark.final_id;
}

/* The same, asked for the position. */
static uint64_t
observe_position(uint64_t position, int64_t last_id, size_t count, const uint64_t *writers)
{
    pg_watermark_observe(&watermark, position, last_id, writers, count);
    return watermark.final_position;
}

Test(postgres_source_watermark, is_final_at_once_when_nobody_writes)
{
    cr_assert_eq(observe(0, 0, NULL), 0);
    cr_assert_eq(observe(7, 0, NULL), 7);
    cr_assert_eq(observe(9, 0, NULL), 9);
}

Test(postgres_source_watermark, waits_for_those_it_saw_and_for_nobody_else)
{
    cr_assert_eq(observe(5, 0, NULL), 5);
    cr_assert_eq(observe(10, 2, (uint64_t[]){1, 2}), 5);
    cr_assert_eq(observe(20, 3, (uint64_t[]){3, 2, 4}), 5, "2 is still there");
    cr_assert_eq(observe(30, 2, (uint64_t[]){3, 1}), 10, "a name that comes back is new");
    cr_assert_eq(observe(40, 2, (uint64_t[]){5, 6}), 30, "one look ends one wait, begins the next");
    cr_assert_eq(observe(50, 0, NULL), 50);
}

Test(postgres_source_watermark, steady_writing_does_not_hold_it_back)
{
    int64_t final_id = 0;
    for (uint64_t turn = 1; turn < 100; turn++) {
        final_id = observe((int64_t)turn * 10, 2, (uint64_t[]){turn, turn + 1});
        cr_assert_geq(final_id, ((int64_t)turn - 2) * 10 - 10);
    }
}

Test(postgres_source_watermark, a_writer_that_took_no_id_yet_starts_no_wait)
{
    cr_assert_eq(observe(5, 0, NULL), 5);
    cr_assert_eq(observe(5, 1, (uint64_t[]){1}), 5);
    cr_assert_eq(observe(6, 1, (uint64_t[]){2}), 5);
    cr_assert_eq(observe(6, 1, (uint64_t[]){3}), 6);
}

Test(postgres_source_watermark, a_position_is_final_at_once_when_nobody_writes)
{
    cr_assert_eq(observe_position(100, 0, 0, NULL), 100);
    cr_assert_eq(observe_position(200, 7, 0, NULL), 200);
    cr_assert_eq(observe_position(300, 7, 0, NULL), 300);
}

/* 1 has written its commit to the log before 200, but holds its lock: it is not visible yet. */
Test(postgres_source_watermark, a_position_waits_with_its_ids)
{
    cr_assert_eq(observe_position(100, 5, 0, NULL), 100);
    cr_assert_eq(observe_position(200, 10, 2, (uint64_t[]){1, 2}), 100);
    cr_assert_eq(observe_position(300, 20, 2, (uint64_t[]){1, 3}), 100);
    cr_assert_eq(observe_position(400, 30, 1, (uint64_t[]){4}), 200, "not 300: 3 may come before");
    cr_assert_eq(observe_position(500, 40, 1, (uint64_t[]){5}), 400);
    cr_assert_eq(observe_position(600, 40, 0, NULL), 600);
}

/* 9 holds the lock, but whatever it will write gets an id above 5. */
Test(postgres_source_watermark, a_writer_that_took_no_id_yet_holds_no_position_back)
{
    cr_assert_eq(observe_position(100, 5, 0, NULL), 100);
    cr_assert_eq(observe_position(200, 5, 1, (uint64_t[]){9}), 200);
    cr_assert_eq(observe_position(300, 6, 1, (uint64_t[]){9}), 200, "6 may be its");
    cr_assert_eq(observe_position(400, 6, 1, (uint64_t[]){8}), 400, "6 is over, 8 took none");
}

Test(postgres_source_watermark, there_may_be_no_log)
{
    cr_assert_eq(observe_position(0, 5, 1, (uint64_t[]){1}), 0);
    cr_assert_eq(observe_position(0, 5, 0, NULL), 0);
    cr_assert_eq(watermark.final_id, 5);
}

Test(postgres_source_watermark, reads_the_names_of_transactions)
{
    uint64_t one = 0;
    uint64_t other = 0;
    cr_assert(pg_watermark_parse("3/13316", &one));
    cr_assert_eq(one, UINT64_C(3) << 32 | 13316);
    cr_assert(pg_watermark_parse("-1/4294967295", &other));
    cr_assert_neq(one, other);
    cr_assert_not(pg_watermark_parse("", &one));
    cr_assert_not(pg_watermark_parse("3", &one));
    cr_assert_not(pg_watermark_parse("3/4 ", &one));
}
