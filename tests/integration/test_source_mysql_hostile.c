/* What others put on the tables, into the rows, and into the settings of the server: one bad row stops no other. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/mysql_proxy_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

#define MANY 200

static MYSQL *admin;
static struct source_config config;
static struct source *source;
static struct mysql_proxy *proxy;

static void
create(void)
{
    char more[100];
    admin = source_mysql_fixture_create();
    proxy = mysql_proxy_open((int)strtol(getenv("OUTBOX_TEST_MYSQL_PORT"), NULL, 10), -1);
    (void)snprintf(more, sizeof(more), "host=127.0.0.1 port=%d sslmode=disable",
                   mysql_proxy_port(proxy)); /* fits */
    config = source_mysql_fixture_config_with(more, 30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_proxy_close(proxy);
    mysql_fixture_drop(admin);
}

TestSuite(source_mysql_hostile, .init = create, .fini = drop, .timeout = 120);

/* ---- deleting ------------------------------------------------------------------------------------------- */

static struct source_failures
settle_all(void)
{
    static int64_t ids[MANY];
    for (int i = 0; i < MANY; i++) {
        ids[i] = i + 1;
    }
    source->ops->settle(source, ids, MANY, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_SETTLED).settled.failures;
}

static void
expect_failures(struct source_failures failures, const int64_t *ids, size_t count, const char *why)
{
    cr_assert_eq(failures.count, count, "%zu", failures.count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(failures.items[i].id, ids[i]);
        cr_assert_not_null(strstr(failures.items[i].reason, why), "%s", failures.items[i].reason);
    }
    source_failures_clear(&failures);
}

static int64_t
rows_left(void)
{
    return mysql_fixture_int(admin, "select count(*) from outbox");
}

Test(source_mysql_hostile, a_row_that_must_not_be_deleted)
{
    const int64_t failed[] = {7, 130};
    source_mysql_fixture_insert(admin, MANY);
    mysql_fixture_exec(admin,
                       "create table mine (id bigint, foreign key (id) references outbox (id))");
    mysql_fixture_exec(admin, "insert into mine values (7), (130)");
    expect_failures(settle_all(), failed, 2, "1451");
    cr_assert_eq(rows_left(), 2);
    mysql_fixture_exec(admin, "delete from mine");
    expect_failures(settle_all(), NULL, 0, "");
    cr_assert_eq(rows_left(), 0);
}

/* What another has deleted is no failure. */
Test(source_mysql_hostile, a_row_that_a_trigger_keeps)
{
    const int64_t failed[] = {7, 130};
    source_mysql_fixture_insert(admin, MANY);
    mysql_fixture_exec(admin, "delete from outbox where id = 9");
    mysql_fixture_exec(
        admin, "create trigger keep before delete on outbox for each row begin if old.id in "
               "(7, 130) then signal sqlstate '45000' set message_text = 'forbidden'; end if; "
               "end");
    expect_failures(settle_all(), failed, 2, "forbidden");
    cr_assert_eq(rows_left(), 2);
}

/* The same with what went remembered: those that failed are not among it. */
Test(source_mysql_hostile, what_cannot_be_deleted_is_not_remembered_as_sent)
{
    const int64_t failed[] = {7};
    source->ops->free(source);
    config.keep_sent_us = 3600 * CLOCK_S_US;
    source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, MANY);
    mysql_fixture_exec(admin,
                       "create table mine (id bigint, foreign key (id) references outbox (id))");
    mysql_fixture_exec(admin, "insert into mine values (7)");
    expect_failures(settle_all(), failed, 1, "1451");
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox_sent"), MANY - 1);
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox_sent where id = 7"), 0);
}

/* What nothing can be done about is not blamed on rows. */
Test(source_mysql_hostile, a_privilege_that_is_gone_is_no_rows_fault)
{
    static const char *const tables[] = {"outbox",       "outbox_held",   "outbox_held_act",
                                         "outbox_relay", "outbox_schema", "outbox_relay_schema"};
    static const int64_t ids[] = {1, 2, 3};
    char sql[200];
    source_mysql_fixture_insert(admin, 3);
    source_fixture_close(source, &config);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        mysql_fixture_grant(admin, "select, insert, update, delete", tables[i]);
    }
    config = source_mysql_fixture_config_as_user(30 * CLOCK_S_US);
    source = source_fixture_own(&config);
    (void)snprintf(sql, sizeof(sql), "revoke delete on outbox from '%s'@'%%'",
                   mysql_fixture_database()); /* fits */
    mysql_fixture_exec(admin, sql);
    source->ops->settle(source, ids, 3, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_eq(lost.class, ERROR_CONFIG);
    cr_assert_not_null(strstr(lost.text, "a privilege is missing"), "%s", lost.text);
}

/* With most of the table in the list the server would rather read all of it, and wait. */
Test(source_mysql_hostile, a_row_of_an_open_transaction_keeps_nobody_from_being_deleted)
{
    MYSQL *other = mysql_fixture_connect();
    source_mysql_fixture_insert(admin, MANY);
    mysql_fixture_exec(other, "begin");
    source_mysql_fixture_insert(other, 1);
    const uint64_t before_us = clock_monotonic_us();
    expect_failures(settle_all(), NULL, 0, "");
    cr_assert_lt(clock_monotonic_us() - before_us, config.takeover_us / 8, "it has waited");
    mysql_fixture_exec(other, "rollback");
    mysql_close(other);
}

/* Somebody changes a row for longer than a statement waits: it is waited for. */
Test(source_mysql_hostile, a_row_that_is_locked_is_waited_for)
{
    MYSQL *other = mysql_fixture_connect();
    source_fixture_close(source, &config);
    config = source_mysql_fixture_config(8 * CLOCK_S_US); /* it waits for a second at a time */
    source = source_fixture_own(&config);
    source_mysql_fixture_insert(admin, 3);
    mysql_fixture_exec(other, "begin");
    mysql_fixture_exec(other, "update outbox set type = 't' where id = 2");
    const int64_t ids[] = {1, 2, 3};
    const unsigned long session = source_mysql_fixture_owner(admin);
    source->ops->settle(source, ids, 3, clock_monotonic_us());
    mysql_fixture_wait_blocked(admin, session);
    const uint64_t until_us =
        clock_monotonic_us() + 1500 * CLOCK_MS_US; /* one of its waits is over */
    while (clock_monotonic_us() < until_us) {
        mysql_fixture_wait_blocked(admin, session);
    }
    mysql_fixture_exec(other, "commit");
    expect_failures(source_fixture_expect(source, SOURCE_SETTLED).settled.failures, NULL, 0, "");
    cr_assert_eq(rows_left(), 0);
    mysql_close(other);
}

/* ---- reading -------------------------------------------------------------------------------------------- */

#define UNREADABLE "no disk gives this" /* as a payload */

/* Five rows, of which the third is such a one. */
static void
insert_unreadable(void)
{
    source_mysql_fixture_insert(admin, 5);
    mysql_fixture_exec(admin, "update outbox set payload = '" UNREADABLE "' where id = 3");
    mysql_proxy_refuse(proxy, UNREADABLE);
}

static void
expect_withheld(const struct row *row)
{
    cr_assert_eq(row->withheld != NULL, row->id == 3, "%d: %s", (int)row->id,
                 row->withheld != NULL ? row->withheld : "it was read");
    cr_assert(row->id != 3 || strstr(row->withheld, "it cannot be read: the database refused "
                                                    "(1030: ") != NULL,
              "%s", row->withheld);
}

Test(source_mysql_hostile, a_row_that_cannot_be_read)
{
    struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 100, .bytes_max = 4 << 20};
    size_t count = 0;
    insert_unreadable();
    for (bool complete = false; !complete;) {
        struct batch *batch = source_fixture_fetch(source, fetch);
        for (size_t i = 0; i < batch->count; i++) {
            const struct row *row = &batch->rows[i];
            cr_assert_eq(row->id, (int64_t)++count);
            expect_withheld(row);
            fetch.after_id = row->id;
        }
        complete = batch->complete;
        batch_free(batch);
    }
    cr_assert_eq(count, 5);
}

/* And then it is not read again for a while, but for an operator; others are, and it does not hide them. */
Test(source_mysql_hostile, a_held_message_that_cannot_be_read)
{
    const struct fetch fetch = {.kind = FETCH_HEADS, .rows_max = 100, .bytes_max = 4 << 20};
    insert_unreadable();
    struct hold holds[5];
    for (int i = 0; i < 5; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_RETRYING, .reason = "refused"};
    }
    cr_assert_eq(source_fixture_hold(source, holds, 5).missing_count, 0);
    size_t read = 0;
    size_t withheld = 0;
    int64_t known[5] = {0};
    while (read < 5) {
        struct fetch rest = fetch;
        rest.ids = known;
        rest.id_count = read;
        struct batch *batch = source_fixture_fetch(source, rest);
        cr_assert_gt(batch->count, 0);
        for (size_t i = 0; i < batch->count; i++) {
            known[read++] = batch->rows[i].id;
            withheld += batch->rows[i].withheld != NULL;
            expect_withheld(&batch->rows[i]);
        }
        batch_free(batch);
    }
    cr_assert_eq(withheld, 1);
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert(batch->count == 1 && batch->rows[0].id == 3 && !batch->complete,
              "known, so it costs no search");
    expect_withheld(&batch->rows[0]);
    batch_free(batch);
    const int64_t unread = 3;
    struct fetch others = fetch;
    others.ids = &unread;
    others.id_count = 1;
    batch = source_fixture_fetch(source, others);
    cr_assert(batch->count == 4 && batch->complete);
    batch_free(batch);
}
