#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "relay/mysql/prepared.h"

#define BYTES_MAX 20000

static struct my_prepared *prepared;
static struct my_row_copies rows;
static char payload[BYTES_MAX];

static void
setup(void)
{
    prepared = my_prepared_new(BYTES_MAX);
}

static void
teardown(void)
{
    my_prepared_free(prepared);
    my_row_copies_done(&rows);
}

TestSuite(mysql_prepared, .init = setup, .fini = teardown);

static struct span
span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

static void
row(int64_t id, log_position position, size_t size)
{
    my_prepared_row(prepared,
                    &(struct row){.id = id, .position = position, .payload = {payload, size}});
}

static void
keep(const char *xid)
{
    my_prepared_keep(prepared, span_of(xid));
}

static void
expect_commit(const char *xid, log_position position, enum my_prepared_fate fate)
{
    my_row_copies_done(&rows);
    const enum my_prepared_fate found = my_prepared_commit(prepared, span_of(xid), position, &rows);
    cr_assert_eq(found, fate, "%d instead of %d", found, fate);
}

static void
expect_rows(size_t count, int64_t first_id, log_position position)
{
    cr_assert_eq(rows.count, count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(rows.rows[i].id, first_id + (int64_t)i);
        cr_assert_eq(rows.rows[i].position, position);
    }
}

Test(mysql_prepared, committed_later)
{
    row(1, 100, 10);
    row(2, 100, 10);
    keep("a");
    row(3, 200, 10);
    keep("b");
    expect_commit("a", 300, MY_PREPARED_ROWS);
    expect_rows(2, 1, 300);
    expect_commit("b", 400, MY_PREPARED_ROWS);
    expect_rows(1, 3, 400);
    cr_assert_eq(prepared->bytes, 0);
}

Test(mysql_prepared, committed_once)
{
    row(1, 100, 10);
    keep("a");
    expect_commit("a", 300, MY_PREPARED_ROWS);
    expect_commit("a", 400, MY_PREPARED_NONE);
}

Test(mysql_prepared, rolled_back)
{
    row(1, 100, 10);
    keep("a");
    my_prepared_roll_back(prepared, span_of("b"));
    my_prepared_roll_back(prepared, span_of("a"));
    expect_commit("a", 300, MY_PREPARED_NONE);
    cr_assert_eq(prepared->bytes, 0);
}

Test(mysql_prepared, without_rows_of_ours)
{
    keep("a");
    cr_assert_eq(prepared->count, 0);
    expect_commit("a", 300, MY_PREPARED_NONE);
}

/* MySQL: there is only the commit. */
Test(mysql_prepared, in_one_phase)
{
    row(1, 100, 10);
    expect_commit("a", 100, MY_PREPARED_ROWS);
    expect_rows(1, 1, 100);
    row(2, 200, 10);
    keep("b");
    expect_commit("b", 300, MY_PREPARED_ROWS);
    expect_rows(1, 2, 300);
}

/* A crash has cut the group off, so there is no PREPARED. */
Test(mysql_prepared, a_group_without_an_end)
{
    row(1, 100, 10);
    expect_commit("other", 150, MY_PREPARED_NONE);
    row(2, 200, 10);
    keep("a");
    expect_commit("a", 300, MY_PREPARED_ROWS);
    expect_rows(1, 2, 300);
}

Test(mysql_prepared, more_than_is_kept)
{
    row(1, 100, 10);
    keep("small");
    row(2, 200, BYTES_MAX);
    row(3, 200, 10);
    keep("large");
    expect_commit("large", 300, MY_PREPARED_LOST);
    expect_commit("large", 300, MY_PREPARED_NONE);
    expect_commit("small", 400, MY_PREPARED_ROWS);
    expect_rows(1, 1, 400);
}

Test(mysql_prepared, together_more_than_is_kept)
{
    for (int64_t id = 1; id <= 4; id++) {
        char xid[8];
        row(id, 100 * (log_position)id, BYTES_MAX / 4);
        (void)snprintf(xid, sizeof(xid), "%d", (int)id);
        keep(xid);
        cr_assert_leq(prepared->bytes, BYTES_MAX);
    }
    expect_commit("1", 900, MY_PREPARED_ROWS);
    expect_commit("4", 900, MY_PREPARED_LOST);
    expect_commit("2", 900, MY_PREPARED_ROWS);
}

Test(mysql_prepared, more_transactions_than_are_kept)
{
    my_prepared_free(prepared);
    prepared = my_prepared_new(UINT64_C(1) << 30);
    for (log_position i = 1; i <= MY_PREPARED_MAX + 1; i++) {
        char xid[8];
        row((int64_t)i, i, 1);
        (void)snprintf(xid, sizeof(xid), "%u", (unsigned)i);
        keep(xid);
    }
    expect_commit("1", 9000, MY_PREPARED_ROWS);
    expect_commit("257", 9000, MY_PREPARED_LOST);
    cr_assert_eq(MY_PREPARED_MAX, 256);
}
