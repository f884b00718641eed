#include "relay/ports/watermark.h"

#include <criterion/criterion.h>

static struct watermark watermark;

static void
init(void)
{
    watermark_init(&watermark);
}

static void
done(void)
{
    watermark_done(&watermark);
}

TestSuite(watermark, .init = init, .fini = done);

static void
look(uint64_t position, int64_t last_id, size_t count, const uint64_t *names)
{
    struct watermark_writer writers[10] = {0};
    for (size_t i = 0; i < count; i++) {
        writers[i] = (struct watermark_writer){.session = names[i] % 3, .transaction = names[i]};
    }
    watermark_observe(&watermark, position, last_id, writers, count);
}

static int64_t
observe(int64_t last_id, size_t count, const uint64_t *writers)
{
    look(0, last_id, count, writers);
    return watermark.final_id;
}

/* The same for the position. */
static uint64_t
observe_position(uint64_t position, int64_t last_id, size_t count, const uint64_t *writers)
{
    look(position, last_id, count, writers);
    return watermark.final_position;
}

Test(watermark, is_final_at_once_when_nobody_writes)
{
    cr_assert_eq(observe(0, 0, NULL), 0);
    cr_assert_eq(observe(7, 0, NULL), 7);
    cr_assert_eq(observe(9, 0, NULL), 9);
}

Test(watermark, waits_for_those_it_saw_and_for_nobody_else)
{
    cr_assert_eq(observe(5, 0, NULL), 5);
    cr_assert_eq(observe(10, 2, (uint64_t[]){1, 2}), 5);
    cr_assert_eq(observe(20, 3, (uint64_t[]){3, 2, 4}), 5, "2 is still there");
    cr_assert_eq(observe(30, 2, (uint64_t[]){3, 1}), 10, "a name that comes back is new");
    cr_assert_eq(observe(40, 2, (uint64_t[]){5, 6}), 30, "one look ends one wait, begins the next");
    cr_assert_eq(observe(50, 0, NULL), 50);
}

Test(watermark, steady_writing_does_not_hold_it_back)
{
    int64_t final_id = 0;
    for (uint64_t turn = 1; turn < 100; turn++) {
        final_id = observe((int64_t)turn * 10, 2, (uint64_t[]){turn, turn + 1});
        cr_assert_geq(final_id, ((int64_t)turn - 2) * 10 - 10);
    }
}

Test(watermark, a_writer_that_took_no_id_yet_starts_no_wait)
{
    cr_assert_eq(observe(5, 0, NULL), 5);
    cr_assert_eq(observe(5, 1, (uint64_t[]){1}), 5);
    cr_assert_eq(observe(6, 1, (uint64_t[]){2}), 5);
    cr_assert_eq(observe(6, 1, (uint64_t[]){3}), 6);
}

Test(watermark, a_position_is_final_at_once_when_nobody_writes)
{
    cr_assert_eq(observe_position(100, 0, 0, NULL), 100);
    cr_assert_eq(observe_position(200, 7, 0, NULL), 200);
    cr_assert_eq(observe_position(300, 7, 0, NULL), 300);
}

/* 1 has written its commit to the log before 200, but holds its lock: it is not visible yet. */
Test(watermark, a_position_waits_with_its_ids)
{
    cr_assert_eq(observe_position(100, 5, 0, NULL), 100);
    cr_assert_eq(observe_position(200, 10, 2, (uint64_t[]){1, 2}), 100);
    cr_assert_eq(observe_position(300, 20, 2, (uint64_t[]){1, 3}), 100);
    cr_assert_eq(observe_position(400, 30, 1, (uint64_t[]){4}), 200, "not 300: 3 may come before");
    cr_assert_eq(observe_position(500, 40, 1, (uint64_t[]){5}), 400);
    cr_assert_eq(observe_position(600, 40, 0, NULL), 600);
}

/* 9 holds the lock, but anything that it writes gets an id above 5. */
Test(watermark, a_writer_that_took_no_id_yet_holds_no_position_back)
{
    cr_assert_eq(observe_position(100, 5, 0, NULL), 100);
    cr_assert_eq(observe_position(200, 5, 1, (uint64_t[]){9}), 200);
    cr_assert_eq(observe_position(300, 6, 1, (uint64_t[]){9}), 200, "6 may be its");
    cr_assert_eq(observe_position(400, 6, 1, (uint64_t[]){8}), 400, "6 is over, 8 took none");
}

Test(watermark, there_may_be_no_log)
{
    cr_assert_eq(observe_position(0, 5, 1, (uint64_t[]){1}), 0);
    cr_assert_eq(observe_position(0, 5, 0, NULL), 0);
    cr_assert_eq(watermark.final_id, 5);
}

static const struct watermark_writer session_1 = {.session = 1};
static const struct watermark_writer session_2 = {.session = 2};
static const struct watermark_writer prepared_7 = {.session = 7, .orphan = true};
static const struct watermark_writer prepared_8 = {.session = 8, .orphan = true};

static int64_t
observe_all(int64_t last_id, const struct watermark_writer *writers, size_t count)
{
    watermark_observe(&watermark, 0, last_id, writers, count);
    return watermark.final_id;
}

/* Session 1 prepares its transaction and ends, between two looks or before a third. */
Test(watermark, what_is_left_of_one_that_was_awaited_is_awaited)
{
    cr_assert_eq(observe_all(5, NULL, 0), 5);
    cr_assert_eq(observe_all(10, (struct watermark_writer[]){session_1}, 1), 5);
    cr_assert_eq(observe_all(20, (struct watermark_writer[]){prepared_7}, 1), 5);
    cr_assert_eq(observe_all(20, (struct watermark_writer[]){session_1, prepared_7}, 2), 5);
    cr_assert_eq(observe_all(30, (struct watermark_writer[]){session_1}, 1), 10);
    cr_assert_eq(observe_all(30, (struct watermark_writer[]){session_1, prepared_8}, 2), 10);
    cr_assert_eq(observe_all(30, (struct watermark_writer[]){prepared_8}, 1), 10);
    cr_assert_eq(observe_all(40, NULL, 0), 40);
}

/* An application that uses XA for everything must not block it for ever. */
Test(watermark, orphans_that_come_and_go_end_the_wait)
{
    cr_assert_eq(observe_all(5, NULL, 0), 5);
    cr_assert_eq(observe_all(10, (struct watermark_writer[]){session_1, session_2}, 2), 5);
    cr_assert_eq(observe_all(20, (struct watermark_writer[]){session_2, prepared_7}, 2), 5);
    cr_assert_eq(observe_all(30, (struct watermark_writer[]){prepared_8}, 1), 5, "2 may be it");
    cr_assert_eq(observe_all(40, (struct watermark_writer[]){prepared_7}, 1), 10);
}

Test(watermark, an_orphan_that_was_there_before_is_awaited_like_any_other)
{
    cr_assert_eq(observe_all(10, (struct watermark_writer[]){prepared_7}, 1), 0);
    cr_assert_eq(observe_all(20, (struct watermark_writer[]){prepared_7, prepared_8}, 2), 0);
    cr_assert_eq(observe_all(30, (struct watermark_writer[]){prepared_8}, 1), 10);
}
