/* A source on a server of MariaDB or MySQL with a wrong configuration, and how much the source makes the server read.
 * Each test has its own server, because others use the shared ones at the same time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    servers_start("mariadb");
    admin = source_mysql_fixture_create();
    source_mysql_fixture_insert(admin, 2);
    config = source_mysql_fixture_config(10 * CLOCK_S_US);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_close(admin);
    servers_stop();
}

TestSuite(source_mysql_outage, .init = create, .fini = drop, .timeout = 300);

/* The dsn also names a replica. */
Test(source_mysql_outage, a_server_that_takes_no_changes_is_none)
{
    source = source_fixture_own(&config);
    mysql_fixture_exec(admin, "set global read_only = 1");
    mysql_fixture_kill(admin, source_mysql_fixture_owner(admin));
    (void)source_fixture_expect_loss(source);
    const struct error error = source_fixture_expect_loss(source);
    cr_assert_not_null(strstr(error.text, "takes no changes"), "%s", error.text);
    mysql_fixture_exec(admin, "set global read_only = 0");
    source_fixture_expect_return(source);
}

/* ---- without a list of who writes ----------------------------------------------------------------------- */

static void
take_list_away(void)
{
    if (mysql_fixture_is_mariadb(admin)) {
        mysql_fixture_exec(admin, "uninstall soname 'metadata_lock_info'");
    } else {
        mysql_fixture_exec(admin, "update performance_schema.setup_instruments set enabled = 'NO' "
                                  "where name = 'wait/lock/metadata/sql/mdl'");
    }
}

static void
give_list_back(void)
{
    if (mysql_fixture_is_mariadb(admin)) {
        mysql_fixture_exec(admin, "install soname 'metadata_lock_info'");
    } else {
        mysql_fixture_exec(admin, "update performance_schema.setup_instruments set enabled = 'YES' "
                                  "where name = 'wait/lock/metadata/sql/mdl'");
    }
}

/* Then no id is final, but nothing is missed; what an administrator can do is said once. */
Test(source_mysql_outage, says_what_is_missing_to_know_who_writes)
{
    MYSQL *late = mysql_fixture_connect();
    take_list_away();
    source = source_fixture_open(&config);
    const struct source_event notice = source_fixture_next(source);
    cr_assert_eq(notice.type, SOURCE_NOTICE);
    cr_assert_not_null(strstr(notice.notice.error.text, mysql_fixture_is_mariadb(admin)
                                                            ? "install soname 'metadata_lock_info'"
                                                            : "wait/lock/metadata/sql/mdl"),
                       "%s", notice.notice.error.text);
    cr_assert_eq(source_fixture_next(source).type, SOURCE_OWNED);
    mysql_fixture_exec(late, "begin");
    source_mysql_fixture_insert(late, 1);
    source_mysql_fixture_insert(admin, 1);
    for (int i = 0; i < 3; i++) {
        source->ops->watermark(source, clock_monotonic_us());
        const struct source_event event = source_fixture_next(source);
        cr_assert_eq(event.type, SOURCE_FINAL, "it is told once");
        cr_assert_eq(event.final.id, 0);
    }
    mysql_fixture_exec(late, "commit");
    struct batch *batch = source_fixture_fetch_after(source, 0);
    cr_assert_eq(batch->count, 4);
    batch_free(batch);
    give_list_back();
    cr_assert_eq(source_fixture_watermark(source), 4);
    mysql_close(late);
}

/* ---- others write ---------------------------------------------------------------------------------------- */

static void
expect_rows(uint32_t count)
{
    struct batch *batch = source_fixture_fetch_after(source, 0);
    cr_assert_eq(batch->count, count);
    batch_free(batch);
}

/* As in a ring of two servers: a row of the other one comes after higher ids of this one. So no id is final, which is
 * said once. */
Test(source_mysql_outage, ids_of_other_servers_come_late)
{
    mysql_fixture_exec(admin, "set global auto_increment_increment = 2");
    source = source_fixture_open(&config);
    const struct source_event notice = source_fixture_next(source);
    cr_assert_eq(notice.type, SOURCE_NOTICE);
    cr_assert_not_null(strstr(notice.notice.error.text, "other servers"), "%s",
                       notice.notice.error.text);
    cr_assert_eq(source_fixture_next(source).type, SOURCE_OWNED);
    mysql_fixture_exec(admin, "insert into outbox (id, routing_key, payload) values (10, 'k', '')");
    for (int i = 0; i < 3; i++) {
        source->ops->watermark(source, clock_monotonic_us());
        const struct source_event event = source_fixture_next(source);
        cr_assert_eq(event.type, SOURCE_FINAL, "it is told once");
        cr_assert_eq(event.final.id, 0);
        cr_assert_gt(event.final.position, 0, "of the log, there are such");
    }
    expect_rows(3);
    mysql_fixture_exec(admin, "insert into outbox (id, routing_key, payload) values (7, 'k', '')");
    expect_rows(4);
}

/* ---- settings ------------------------------------------------------------------------------------------- */

/* Settings that an administrator made for all sessions. */
Test(source_mysql_outage, settings_that_a_session_inherits)
{
    static const char *const settings[] = {
        ("sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,"
         "ONLY_FULL_GROUP_BY,NO_ZERO_DATE'"),
        "sql_select_limit = 1",
        "time_zone = '+05:00'",
        "sql_safe_updates = 1",
        "autocommit = 0",
        "div_precision_increment = 0",
        "group_concat_max_len = 4",
        "character_set_results = latin1",
        "character_set_client = latin1",
        "collation_connection = latin1_swedish_ci",
        "wait_timeout = 1",
        "lock_wait_timeout = 1",
        "max_join_size = 1",
        "foreign_key_checks = 0",
    };
    static const int64_t ids[] = {1, 2};
    const struct hold holds[] = {{.id = 1, .state = HELD_RETRYING, .reason = "refused"}};
    mysql_fixture_exec(admin, "update outbox set routing_key = 'créé', created_at = '2026-01-02 "
                              "03:04:05.678901'");
    mysql_fixture_exec(admin, "set global transaction isolation level serializable");
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        char sql[300];
        (void)snprintf(sql, sizeof(sql), "set global %s", settings[i]); /* fits */
        mysql_fixture_exec(admin, sql);
    }
    source = source_fixture_own(&config);
    struct batch *batch = source_fixture_fetch_after(source, 0);
    cr_assert_eq(batch->count, 2);
    cr_assert(batch->rows[0].routing_key.size == strlen("créé") &&
              memcmp(batch->rows[0].routing_key.data, "créé", strlen("créé")) == 0);
    cr_assert_eq(batch->rows[0].created_at_us, INT64_C(1767323045678901));
    batch_free(batch);
    cr_assert_eq(source_fixture_watermark(source), 2);
    cr_assert_eq(source_fixture_hold(source, holds, 1).missing_count, 0);
    source->ops->settle(source, ids, 2, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox"), 0);
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox_held"), 1);
}

static void
grant_all(void)
{
    static const char *const tables[] = {"outbox",
                                         "outbox_held",
                                         "outbox_held_act",
                                         "outbox_relay",
                                         "outbox_sent_batch",
                                         "outbox_schema",
                                         "outbox_relay_schema"};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        mysql_fixture_grant(admin, "select, insert, update, delete", tables[i]);
    }
}

/* Settings that the server makes at the beginning of each session of an ordinary account. */
Test(source_mysql_outage, settings_of_init_connect)
{
    static const char key[] = "日本";
    const struct hold hold = {.id = 1, .state = HELD_RETRYING, .reason = "refused"};
    mysql_fixture_exec(admin, "update outbox set routing_key = 'créé', `key` = '日本'");
    mysql_fixture_exec(admin,
                       "set global init_connect = 'set names latin1; set completion_type = 1'");
    grant_all();
    free(config.dsn);
    config = source_mysql_fixture_config_as_user(10 * CLOCK_S_US);
    source = source_fixture_own(&config);
    struct batch *batch = source_fixture_fetch_after(source, 0);
    cr_assert_eq(batch->count, 2);
    cr_assert(batch->rows[0].key.size == strlen(key) &&
              memcmp(batch->rows[0].key.data, key, strlen(key)) == 0);
    cr_assert(batch->rows[0].routing_key.size == strlen("créé") &&
              memcmp(batch->rows[0].routing_key.data, "créé", strlen("créé")) == 0);
    batch_free(batch);
    cr_assert_eq(source_fixture_hold(source, &hold, 1).missing_count, 0);
    source->ops->settle(source, (int64_t[]){2}, 1, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    cr_assert_eq(mysql_fixture_int(admin, "select count(*) from outbox"), 0,
                 "what follows a transaction is committed, too");
}

/* ---- what the server does ------------------------------------------------------------------------------- */

/* Counters of the whole server. */
static int64_t
sum_of(const char *sql)
{
    MYSQL_ROW row;
    int64_t sum = 0;
    cr_assert_eq(mysql_query(admin, sql), 0);
    MYSQL_RES *rows = mysql_store_result(admin);
    while ((row = mysql_fetch_row(rows)) != NULL) {
        sum += strtoll(row[1], NULL, 10);
    }
    mysql_free_result(rows);
    return sum;
}

static int64_t
rows_read(void)
{
    return sum_of("show global status where variable_name in ('Handler_read_next', "
                  "'Handler_read_key')");
}

static int64_t
pages_read(void)
{
    return sum_of("show global status like 'Innodb_buffer_pool_read_requests'");
}

/* Returns how many rows came; *last: the id of the last one. */
static size_t
fetch_some(int64_t *last)
{
    struct batch *batch = source_fixture_fetch_after(source, *last);
    const size_t count = batch->count;
    *last = batch->rows[count - 1].id;
    batch_free(batch);
    return count;
}

/* The server reads a payload to know its length: of a thousand large rows it must read only a few for each batch. */
Test(source_mysql_outage, large_rows_are_not_read_by_the_thousand)
{
    source_mysql_fixture_insert(admin, 198);
    mysql_fixture_exec(admin, "update outbox set payload = repeat('x', 1 << 20)");
    source = source_fixture_own(&config);
    int64_t last = 0;
    for (int i = 0; i < 10 && fetch_some(&last) < 4; i++) {
        /* until it knows that this link is fast */
    }
    const int64_t before = rows_read();
    for (int i = 0; i < 10; i++) {
        cr_assert_geq(fetch_some(&last), 4);
    }
    const int64_t read = rows_read() - before;
    cr_assert_lt(read, 1000, "%lld rows read for 10 batches", (long long)read);
}

/* A long transaction of others keeps deleted rows from being purged: the source must not read over them again and
 * again. */
Test(source_mysql_outage, deleted_rows_that_are_not_purged_are_not_walked_over)
{
    MYSQL *reader = mysql_fixture_connect();
    mysql_fixture_exec(reader, "set session transaction isolation level repeatable read");
    mysql_fixture_exec(reader, "begin");
    (void)mysql_fixture_int(reader, "select count(*) from outbox");
    for (int i = 0; i < 20; i++) {
        source_mysql_fixture_insert(admin, 5000);
    }
    mysql_fixture_exec(admin, "delete from outbox where id <= 100000");
    source = source_fixture_own(&config);
    cr_assert_eq(source_fixture_watermark(source), 100002);
    const int64_t before = pages_read();
    for (int i = 0; i < 20; i++) {
        struct batch *batch = source_fixture_fetch_after(source, 100000);
        cr_assert_eq(batch->count, 2);
        batch_free(batch);
        (void)source_fixture_watermark(source);
        source->ops->settle(source, (int64_t[]){99999, 100005}, 2, clock_monotonic_us());
        (void)source_fixture_expect(source, SOURCE_SETTLED);
    }
    const int64_t read = pages_read() - before;
    cr_assert_lt(read, 20 * 60, "%lld pages", (long long)read);
    mysql_close(reader);
}
