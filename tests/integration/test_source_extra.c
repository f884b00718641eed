/* Columns that others have added to the outbox: a message that was set aside has the same values again when it goes
 * back. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/source_held_fixture.h"

#define ROWS 6

TestSuite(source_extra, .init = held_create, .fini = held_drop, .timeout = 120);

/* Messages of one key with these values in the added columns, written with the number i. */
static void
insert_rows(const char *columns, const char *values)
{
    char sql[600];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (\"key\", payload, %s) select 'k', 'x', %s from " DB_SERIES("1", "6"),
        columns, values); /* fits */
    held_run(sql);
}

/* Expects that all of them are held afterwards. */
static void
set_aside(enum held_state state)
{
    held_hold_from(1, ROWS, state);
    cr_assert_eq(held_count("select count(*) from outbox"), 0);
    cr_assert_eq(held_count("select count(*) from outbox_held"), ROWS);
}

static void
expect_given_back(void)
{
    const struct source_released event = held_give_back();
    cr_assert_eq(event.failures.count, 0, "%s", event.failures.items[0].reason);
    cr_assert(event.complete && event.count == ROWS && event.first_id == 1 &&
              event.last_id == ROWS);
    cr_assert_eq(held_count("select count(*) from outbox_held"), 0);
}

static void
expect_one_failure(size_t given_back, int64_t id, const char *words)
{
    const struct source_released event = held_give_back();
    cr_assert(event.count == given_back && event.failures.count == 1 &&
              event.failures.items[0].id == id);
    cr_assert_not_null(strstr(event.failures.items[0].reason, words), "%s",
                       event.failures.items[0].reason);
    free(event.failures.items);
}

/* Some settings of an account change how types are written or read: the values must not depend on that. */
Test(source_extra, all_types_come_back_unchanged)
{
    db_load(admin, "extra_types");
    held_reopen();
    cr_assert_eq(held_count("select count(*) from unchanged"), ROWS);
    set_aside(HELD_WAITING);
    cr_assert_eq(held_count("select count(*) from unchanged"), 0);
    cr_assert_eq(held_count("select count(*) from held_with_generated"), 0);
    expect_given_back();
    cr_assert_eq(held_count("select count(*) from unchanged"), ROWS);
}

/* In the order of their times, and with new ids. */
Test(source_extra, a_scheduled_message_has_them_too)
{
    held_run("alter table outbox add tenant int not null");
    insert_rows("tenant, created_at, deliver_after", "i, from_now(-3600), from_now(-i)");
    set_aside(HELD_SCHEDULED);
    struct source_woken woken = source_fixture_wake(source, 4);
    cr_assert(woken.count == 4 && woken.next_in_us == 0);
    woken = source_fixture_wake(source, 4);
    cr_assert(woken.count == 2 && woken.next_in_us == CLOCK_NEVER_US);
    held_expect_text("select group_concat(concat(tenant) order by id) from outbox where id > 6 and "
                     "deliver_after is null",
                     "6,5,4,3,2,1");
}

/* The relay keeps its session, so it does not know of the change before. The first four are set aside before the
 * columns come. */
Test(source_extra, columns_that_come_and_go_while_it_is_held)
{
    held_run("alter table outbox add gone int, add tenant int");
    insert_rows("gone, tenant", "i, i");
    held_run("alter table outbox add late text; update outbox set late = 'late'");
    held_hold_from(1, 4, HELD_WAITING);
    held_run("alter table outbox drop gone, add fresh int not null default (41 + 1), "
             "add made timestamp(6) not null default current_timestamp(6), add none int");
    db_change_type(admin, "outbox", "tenant", "varchar(20)");
    held_run("update outbox set fresh = 5, made = '2026-01-01 00:00:00', none = 1");
    held_hold_from(5, 2, HELD_WAITING);
    expect_given_back();
    held_expect_text("select group_concat(concat_ws(' ', id, tenant, late, fresh, none, case when "
                     "made = '2026-01-01 00:00:00' then 'its own' end) order by id) from outbox",
                     "1 1 late 42,2 2 late 42,3 3 late 42,4 4 late 42,5 5 late 5 1 its own,"
                     "6 6 late 5 1 its own");
    set_aside(HELD_WAITING);
    held_run("alter table outbox drop tenant, drop late, drop fresh, drop made, drop none");
    expect_given_back();
}

/* Its new column has no default: so this message fails, but those before it are back. */
Test(source_extra, what_an_older_relay_has_held)
{
    held_run("alter table outbox add tenant int not null");
    insert_rows("tenant", "i");
    set_aside(HELD_WAITING);
    held_run("update outbox_held set extra = null where id = 4");
    expect_one_failure(3, 4, "tenant");
    held_run("alter table outbox alter tenant set default 9");
    cr_assert_eq(held_give_back().count, 3);
    held_expect_text("select group_concat(concat_ws(' ', id, tenant) order by id) from outbox",
                     "1 1,2 2,3 3,4 9,5 5,6 6");
}

/* The same for a column that was added since, while others have their values. */
Test(source_extra, what_has_no_value_for_a_column_stays_held)
{
    held_run("alter table outbox add other int; "
             "insert into outbox (\"key\", payload, other) values ('k', '1', 7)");
    held_hold_from(1, 1, HELD_WAITING);
    held_run("alter table outbox add tenant int not null");
    expect_one_failure(0, 1, "tenant");
    cr_assert_eq(held_count("select count(*) from outbox_held"), 1);
    held_run("alter table outbox alter tenant set default 4");
    cr_assert_eq(held_give_back().count, 1);
    held_expect_text("select concat_ws(' ', other, tenant) from outbox", "7 4");
}

/* The same for a value that the column does not accept any more. */
Test(source_extra, a_value_that_its_column_does_not_take_any_more)
{
    held_run("alter table outbox add tenant varchar(10)");
    insert_rows("tenant", "case when i = 6 then 'six' else '1' end");
    set_aside(HELD_WAITING);
    db_change_type(admin, "outbox", "tenant", "int");
    expect_one_failure(5, 6, "six");
}

/* Somebody changes a row while it is set aside: the new value goes along. */
Test(source_extra, what_is_being_written_is_waited_for)
{
    const struct hold hold = {.id = 1, .state = HELD_WAITING};
    held_run("alter table outbox add tenant int; "
             "insert into outbox (\"key\", payload, tenant) values ('k', 'x', 1)");
    const int64_t owner = db_owner(admin);
    held_run("begin; update outbox set tenant = 2, type = 't'");
    source->ops->hold(source, &hold, 1, clock_monotonic_us());
    db_wait_blocked(admin, owner);
    held_run("commit");
    (void)source_fixture_expect(source, SOURCE_HELD);
    held_expect_text("select concat(type, header_of(extra, 'tenant')) from outbox_held", "t2");
}
