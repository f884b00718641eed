/* Columns that others have added to the outbox: a message that is set aside has them again, unchanged, when it goes back. As
 * test_source_postgres_extra.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/outbox_mysql_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

#define ROWS 6

static MYSQL *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    admin = mysql_fixture_create();
    outbox_mysql_fixture_load(admin);
    outbox_mysql_fixture_load_relay(admin);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql_extra, .init = create, .fini = drop, .timeout = 120);

static void
run(const char *sql)
{
    mysql_fixture_exec(admin, sql);
}

static int64_t
count(const char *sql)
{
    return mysql_fixture_int(admin, sql);
}

static void
own(void)
{
    config = source_mysql_fixture_config(30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

/* All must be held afterwards. */
static void
set_aside(enum held_state state)
{
    struct hold holds[ROWS];
    for (int i = 0; i < ROWS; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = state};
    }
    const struct source_held held = source_fixture_hold(source, holds, ROWS);
    cr_assert_eq(held.failures.count, 0, "%s", held.failures.items[0].reason);
    cr_assert_eq(held.missing_count, 0);
    cr_assert_eq(count("select count(*) from outbox"), 0);
    cr_assert_eq(count("select count(*) from outbox_held"), ROWS);
}

static struct source_released
give_back(void)
{
    const int64_t key = count("select cast(conv(left(sha2('k', 256), 15), 16, 10) as signed)");
    const struct release release = {.keys = &key, .key_count = 1, .rows_max = 100};
    return source_fixture_release(source, release);
}

static void
expect_given_back(void)
{
    const struct source_released event = give_back();
    cr_assert_eq(event.failures.count, 0, "%s", event.failures.items[0].reason);
    cr_assert(event.complete && event.count == ROWS && event.first_id == 1 &&
              event.last_id == ROWS);
    cr_assert_eq(count("select count(*) from outbox_held"), 0);
}

/* What is not NULL and has no default, too. There are more types than these, but not more ways in which they are written. */
#define COLUMNS                                                                                \
    "alter table outbox add tenant int not null, add `q\"uot``ed \\ 'n@me'` text, "            \
    "add c char(5), add v varchar(3) character set latin1, add b tinyint(1), add u bigint "    \
    "unsigned, add n decimal(65, 30), add f float, add d double, add bits bit(64), "           \
    "add one bit(3), add bin binary(4), add vbin varbinary(10), add blo mediumblob, "          \
    "add js json, add da date, add dt datetime(3), add ts timestamp(6) null, add ti time(6), " \
    "add y year, add e enum('fine', 'it''s \"so\"'), add s set('x', 'y'), add p point, "       \
    "add g geometry, add extra longtext, add state text, add moved int default 7, "            \
    "add made varchar(40) default (concat('made ', 'here')), "                                 \
    "add twice int generated always as (tenant * 2) stored, "                                  \
    "add thrice int generated always as (tenant * 3) virtual"

#define VALUES                                                                                  \
    "insert into outbox (`key`, payload, tenant, `q\"uot``ed \\ 'n@me'`, c, v, b, u, n, f, d, " \
    "bits, one, bin, vbin, blo, js, da, dt, ts, ti, y, e, s, p, g, extra, state, moved, made) " \
    "values ('k', '1', 1, concat('a''b\"c', char(92), 'd', char(10), char(0), char(1), "        \
    "x'c3a9f09f9880'), 'ab', concat('a ', convert(x'e9' using latin1)), 1, "                    \
    "18446744073709551615, "                                                                    \
    "-12345678901234567890123456789012345.123456789012345678901234567890, 16777217.1e-3, "      \
    "0.1e0 + 0.2e0, b'1111111111111111111111111111111111111111111111111111111111111110', "      \
    "b'101', x'00ff', x'ff005c27', repeat(x'80ff', 30000), "                                    \
    "'{\"a\": [1.5, null, \"x\\\\\\\\\"]}', '1000-01-01', '9999-12-31 23:59:59.999', "          \
    "'2026-10-25 00:30:00.123456', '-838:59:58.999999', 2155, 'it''s \"so\"', 'x,y', "          \
    "st_geomfromtext('point(1 2)'), st_geomfromtext('linestring(0 0, 1e-300 3)'), 'null', "     \
    "'dead', null, null), "                                                                     \
    "('k', '2', 2, null, null, null, null, 0, 0, 1.1e-38, -0.0e0, b'0', b'0', '', '', '', "     \
    "'null', null, null, null, '00:00:00', null, null, '', null, null, null, '', 0, '')"

/* All of each row, in a form in which no two values are alike. */
#define AS_BEFORE                                                                               \
    "select count(*) from outbox join before_it using (id) where "                              \
    "outbox.tenant <=> before_it.tenant and hex(outbox.`q\"uot``ed \\ 'n@me'`) <=> "            \
    "hex(before_it.`q\"uot``ed \\ 'n@me'`) and hex(outbox.c) <=> hex(before_it.c) and "         \
    "hex(outbox.v) <=> hex(before_it.v) and outbox.b <=> before_it.b and outbox.u <=> "         \
    "before_it.u and outbox.n <=> before_it.n and outbox.f <=> before_it.f and outbox.d <=> "   \
    "before_it.d and outbox.bits <=> before_it.bits and outbox.one <=> before_it.one and "      \
    "hex(outbox.bin) <=> hex(before_it.bin) and hex(outbox.vbin) <=> hex(before_it.vbin) and "  \
    "sha2(outbox.blo, 256) <=> sha2(before_it.blo, 256) and cast(outbox.js as char) <=> "       \
    "cast(before_it.js as char) and outbox.da <=> before_it.da and outbox.dt <=> before_it.dt " \
    "and outbox.ts <=> before_it.ts and outbox.ti <=> before_it.ti and outbox.y <=> "           \
    "before_it.y and outbox.e <=> before_it.e and outbox.s <=> before_it.s and hex(outbox.p) "  \
    "<=> hex(before_it.p) and hex(outbox.g) <=> hex(before_it.g) and outbox.extra <=> "         \
    "before_it.extra and outbox.state <=> before_it.state and outbox.moved <=> "                \
    "before_it.moved and outbox.made <=> before_it.made and outbox.twice = 2 * outbox.tenant "  \
    "and outbox.thrice = 3 * outbox.tenant and outbox.payload = before_it.payload"

/* The admin's time zone and sql_mode are others than the relay's. */
Test(source_mysql_extra, all_types_come_back_unchanged)
{
    run("set time_zone = '+02:00'");
    run(COLUMNS);
    run(VALUES);
    run("insert into outbox (`key`, payload, tenant, extra) values ('k', 'x', 3, repeat('y', "
        "1000000)), ('k', 'x', 4, repeat(char(1), 100000)), ('k', 'x', 5, repeat('\"', 100000)), "
        "('k', 'x', 6, repeat(x'f09f9880', 100000))");
    run("create table before_it as select * from outbox");
    cr_assert_eq(count(AS_BEFORE), ROWS);
    own();
    set_aside(HELD_WAITING);
    cr_assert_eq(count("select count(*) from outbox_held where json_contains_path(extra, 'one', "
                       "'$.twice', '$.thrice')"),
                 0);
    expect_given_back();
    cr_assert_eq(count(AS_BEFORE), ROWS);
    cr_assert_eq(count("select d = 0.1e0 + 0.2e0 from outbox where id = 1"), 1);
}

/* In the order of their times, and under new ids. */
Test(source_mysql_extra, a_scheduled_message_has_them_too)
{
    run("alter table outbox add tenant int not null");
    run("insert into outbox (`key`, payload, tenant, created_at, deliver_after) values "
        "('k', 'x', 1, '2026-01-01', utc_timestamp(6) - interval 1 second), "
        "('k', 'x', 2, '2026-01-01', utc_timestamp(6) - interval 2 second), "
        "('k', 'x', 3, '2026-01-01', utc_timestamp(6) - interval 3 second), "
        "('k', 'x', 4, '2026-01-01', utc_timestamp(6) - interval 4 second), "
        "('k', 'x', 5, '2026-01-01', utc_timestamp(6) - interval 5 second), "
        "('k', 'x', 6, '2026-01-01', utc_timestamp(6) - interval 6 second)");
    own();
    set_aside(HELD_SCHEDULED);
    run("update outbox_held set next_attempt_at = deliver_after");
    struct source_woken woken = source_fixture_wake(source, 4);
    cr_assert(woken.count == 4 && woken.next_in_us == 0);
    woken = source_fixture_wake(source, 4);
    cr_assert(woken.count == 2 && woken.next_in_us == CLOCK_NEVER_US);
    cr_assert_str_eq(mysql_fixture_text(admin, "select group_concat(tenant order by id) from "
                                               "outbox where id > 6 and deliver_after is null"),
                     "6,5,4,3,2,1");
}

/* Held before a column was there, with it, and before it was dropped. */
Test(source_mysql_extra, columns_come_and_go_meanwhile)
{
    run("alter table outbox add a int, add b text, add gone int");
    run("insert into outbox (`key`, payload, a, b, gone) values ('k', '1', 1, 'x', 7), "
        "('k', '2', 2, null, 7), ('k', '3', 3, 'z', 7)");
    own();
    const struct hold first[] = {{.id = 1, .state = HELD_WAITING},
                                 {.id = 2, .state = HELD_WAITING}};
    cr_assert_eq(source_fixture_hold(source, first, 2).failures.count, 0);
    run("alter table outbox drop gone, add since varchar(10) not null default 'new', "
        "add made datetime(6) not null default (utc_timestamp(6)), modify a bigint");
    const struct hold second = {.id = 3, .state = HELD_WAITING};
    run("update outbox set since = 'own', made = '2026-01-01'");
    cr_assert_eq(source_fixture_hold(source, &second, 1).failures.count, 0);
    const struct source_released released = give_back();
    cr_assert_eq(released.failures.count, 0, "%s", released.failures.items[0].reason);
    cr_assert_str_eq(
        mysql_fixture_text(admin, "select group_concat(concat_ws('|', id, a, coalesce(b, 'none'), "
                                  "since, made > '2026-01-02') order by id) from outbox"),
        "1|1|x|new|1,2|2|none|new|1,3|3|z|own|0");
}

/* What was held before others added a column that nothing but who writes a row gives a value to. */
Test(source_mysql_extra, what_has_no_value_for_a_column_stays_held)
{
    run("insert into outbox (`key`, payload) values ('k', '1')");
    own();
    const struct hold one = {.id = 1, .state = HELD_WAITING};
    cr_assert_eq(source_fixture_hold(source, &one, 1).failures.count, 0);
    run("alter table outbox add tenant int not null");
    const struct source_released released = give_back();
    cr_assert_eq(released.failures.count, 1);
    cr_assert(released.failures.items[0].id == 1);
    cr_assert_not_null(strstr(released.failures.items[0].reason, "tenant"), "%s",
                       released.failures.items[0].reason);
    free(released.failures.items);
    cr_assert_eq(count("select count(*) from outbox_held"), 1);
    run("alter table outbox alter tenant set default 4");
    cr_assert_eq(give_back().count, 1);
    cr_assert_eq(count("select tenant from outbox"), 4);
}

/* Promise: nothing of a message is lost unsaid. Bytes take twice the room as a text, and the server has no text that is larger
 * than max_allowed_packet. */
Test(source_mysql_extra, what_is_too_large_to_be_a_text_is_not_moved)
{
    run("alter table outbox add large longblob, add more longtext");
    run("insert into outbox (`key`, payload, large) values ('k', '1', 'x')");
    /* Twice half of the packet, in a statement that needs but a few bytes. */
    run("update outbox set large = repeat(x'00', @@max_allowed_packet div 2 + 1)");
    run("insert into outbox (`key`, payload, more) values ('k', '2', repeat('\"', "
        "@@max_allowed_packet div 2 + 1)), ('k', '3', 'y')");
    own();
    const struct hold holds[] = {{.id = 1, .state = HELD_WAITING},
                                 {.id = 2, .state = HELD_WAITING},
                                 {.id = 3, .state = HELD_WAITING}};
    const struct source_held held = source_fixture_hold(source, holds, 3);
    cr_assert_eq(held.failures.count, 2);
    cr_assert(held.failures.items[0].id == 1 && held.failures.items[1].id == 2);
    free(held.failures.items);
    cr_assert_eq(count("select count(*) from outbox where length(large) > 1000000 or length(more) "
                       "> 1000000"),
                 2);
    cr_assert_eq(count("select count(*) from outbox_held"), 1);
}

/* A value that its column does not take any more is the trouble of this message, and those before it are back. */
Test(source_mysql_extra, a_value_that_its_column_does_not_take_any_more)
{
    run("alter table outbox add tenant varchar(10)");
    run("insert into outbox (`key`, payload, tenant) values ('k', 'x', '1'), ('k', 'x', '2'), "
        "('k', 'x', '3'), ('k', 'x', '4'), ('k', 'x', '5'), ('k', 'x', 'six')");
    own();
    set_aside(HELD_WAITING);
    run("alter table outbox modify tenant int");
    const struct source_released event = give_back();
    cr_assert(event.count == 5 && event.failures.count == 1 && event.failures.items[0].id == 6);
    cr_assert_not_null(strstr(event.failures.items[0].reason, "six"), "%s",
                       event.failures.items[0].reason);
    free(event.failures.items);
}

/* Somebody changes a row while it is set aside: what he wrote goes along. */
Test(source_mysql_extra, what_is_being_written_is_waited_for)
{
    const struct hold hold = {.id = 1, .state = HELD_WAITING};
    char sql[200];
    run("alter table outbox add tenant int");
    run("insert into outbox (`key`, payload, tenant) values ('k', 'x', 1)");
    own();
    (void)snprintf(sql, sizeof(sql),
                   "select id from information_schema.processlist where db = '%s' and id <> "
                   "connection_id()",
                   mysql_fixture_database()); /* fits */
    const unsigned long session = (unsigned long)count(sql);
    run("start transaction");
    run("update outbox set tenant = 2, type = 't'");
    source->ops->hold(source, &hold, 1, clock_monotonic_us());
    mysql_fixture_wait_blocked(admin, session);
    run("commit");
    (void)source_fixture_expect(source, SOURCE_HELD);
    cr_assert_str_eq(mysql_fixture_text(admin,
                                        "select concat(type, json_value(extra, '$.tenant')) from "
                                        "outbox_held"),
                     "t2");
}
