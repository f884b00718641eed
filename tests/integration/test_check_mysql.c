/* What `check` says about MariaDB and MySQL alone: engines, settings, proxies, and the log. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mysql/client.h"
#include "relay/mysql/check.h"
#include "relay/mysql/check_settings.h"
#include "relay/mysql/init.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/mysql_proxy_fixture.h"
#include "tests/integration/report_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

static MYSQL *db;
static struct source_config config;

static void
set_up_nothing(void)
{
    db = mysql_fixture_create();
    config = source_mysql_fixture_config(10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_POLL;
}

static void
set_up(void)
{
    set_up_nothing();
    struct report report = report_fixture_begin();
    init_mysql(&report, &config);
    cr_assert_eq(report.problems, 0, "%s", report_fixture_lines());
}

static void
tear_down(void)
{
    free(config.dsn);
    mysql_fixture_drop(db);
}

TestSuite(check_mysql, .init = set_up, .fini = tear_down, .timeout = 120);
TestSuite(check_mysql_settings, .init = set_up_nothing, .fini = tear_down, .timeout = 120);

static void
expect(size_t problems, const char *word, const char *words)
{
    struct report report = report_fixture_begin();
    check_mysql(&report, &config);
    cr_assert_eq(report.problems, problems, "%s", report_fixture_lines());
    report_fixture_expect(word, words);
}

static void
run(const char *sql)
{
    mysql_fixture_exec(db, sql);
}

/* Promise: a database as init made it has no problem. */
Test(check_mysql, all_is_well_after_init)
{
    expect(0, "ok", "source \"orders\": connected to database");
    report_fixture_expect_none("a proxy");
    report_fixture_expect_none("advice");
}

/* Promise: a dropped trigger is named, as advice only, because the outbox works without it. */
Test(check_mysql, a_trigger_that_was_dropped)
{
    run("drop trigger outbox_payload");
    expect(0, "advice", "so bodies can be given as `payload` alone");
}

Test(check_mysql, an_engine_without_transactions)
{
    run("alter table outbox_sent_batch engine = MyISAM");
    expect(1, "problem",
           "outbox_sent_batch is kept by MyISAM, which has no transactions: alter table");
}

Test(check_mysql, a_trigger_of_somebody_else)
{
    run("create trigger audit before delete on outbox for each row set @deleted = old.id");
    expect(0, "advice", "the trigger audit of somebody else runs before delete on outbox");
}

/* Promise: it says if the dsn names no database. */
Test(check_mysql, no_database)
{
    struct source_config whole = config;
    config.dsn = (char *)getenv("OUTBOX_TEST_MYSQL_DSN");
    expect(1, "problem", "the dsn names no database: give dbname");
    config = whole;
}

/* ---- columns -------------------------------------------------------------------------------------------- */

/* Promise: columns that others have changed are named, with the statement that restores them. */
Test(check_mysql, columns_that_are_not_as_they_were_made)
{
    run("alter table outbox_held drop constraint outbox_held_extra_object");
    run("alter table outbox_held drop column extra, modify attempts bigint not null");
    run("alter table outbox_held modify key_hash bigint");
    run("alter table outbox drop constraint outbox_message_id_16_bytes");
    run("alter table outbox modify message_id char(36) not null");
    run("alter table outbox modify `key` varchar(1025) character set latin1");
    expect(7, "problem",
           "column extra of outbox_held is missing: alter table outbox_held add `extra` longtext");
    report_fixture_expect("problem", "outbox_held_extra_object of outbox_held is missing");
    report_fixture_expect("problem", "column attempts of outbox_held is of type bigint, and has to "
                                     "be int: alter table outbox_held modify `attempts` int not "
                                     "null default 0");
    report_fixture_expect("problem", "column key_hash of outbox_held is not made of the key by the "
                                     "server: alter table outbox_held modify key_hash bigint as");
    report_fixture_expect("problem", "column key of outbox is in latin1, so its keys have other "
                                     "bytes");
    report_fixture_expect("problem", "column message_id of outbox is of type char, and has to be "
                                     "varbinary: make it as `outbox-relay init --print");
}

Test(check_mysql, an_id_that_nobody_gives)
{
    run("alter table outbox modify id bigint not null");
    expect(1, "problem", "column id of outbox gets no value of its own: alter table outbox modify");
}

Test(check_mysql, keys_that_are_compared_by_letters)
{
    run("alter table outbox_held modify `key` varchar(1025) collate utf8mb4_general_ci");
    expect(0, "advice", "column key of outbox_held is compared by utf8mb4_general_ci");
}

Test(check_mysql, a_foreign_key_that_keeps_messages)
{
    run("create table letter (id bigint, constraint keeps foreign key (id) references outbox "
        "(id))");
    expect(0, "advice",
           "foreign key keeps of letter keeps messages from being deleted from outbox");
    run("alter table letter drop foreign key keeps, add constraint goes foreign key (id) "
        "references "
        "outbox (id) on delete cascade");
    expect(0, "ok", "the columns of the tables are as they were made");
}

/* ---- settings ------------------------------------------------------------------------------------------- */

#define AND(name, value) " union all select '" name "', '" value "'"
/* Rows of names and values instead of the server's own, which other tests share. */
#define SETTINGS(flush, sync, increment, packet)                                     \
    "select 'innodb_flush_log_at_trx_commit' as name, '" flush                       \
    "' as value" AND("sync_binlog", sync) AND("auto_increment_increment", increment) \
        AND("max_allowed_packet", packet)

static void
expect_of_settings(const char *settings, size_t problems, const char *word, const char *words)
{
    struct report report = report_fixture_begin();
    cr_assert_eq(mysql_query(db, settings), 0, "%s", mysql_error(db));
    MYSQL_RES *const rows = mysql_store_result(db);
    my_check_settings(&report, &config, rows);
    mysql_free_result(rows);
    cr_assert_eq(report.problems, problems, "%s", report_fixture_lines());
    if (words != NULL) {
        report_fixture_expect(word, words);
    } else {
        cr_assert_str_empty(report_fixture_lines());
    }
}

#define GOOD SETTINGS("1", "1", "1", "16777216")

Test(check_mysql_settings, good_ones)
{
    expect_of_settings(GOOD AND("log_bin", "ON") AND("binlog_format", "MIXED"), 0, NULL, NULL);
    expect_of_settings(GOOD AND("log_bin", "OFF") AND("binlog_format", "STATEMENT"), 0, NULL, NULL);
    expect_of_settings(GOOD AND("group_replication_group_name", "g")
                           AND("group_replication_single_primary_mode", "ON"),
                       0, NULL, NULL);
}

Test(check_mysql_settings, a_server_that_takes_no_changes)
{
    expect_of_settings(GOOD AND("read_only", "ON"), 1, "problem", "the server is read-only");
}

Test(check_mysql_settings, a_log_of_statements)
{
    expect_of_settings(GOOD AND("log_bin", "ON") AND("binlog_format", "STATEMENT"), 1, "problem",
                       "binlog_format is STATEMENT, with which a relay can change nothing");
}

/* Promise: settings that let a crash of the server undo what was sent are named, with the statement that changes them. */
Test(check_mysql_settings, a_server_that_writes_late)
{
    expect_of_settings(SETTINGS("2", "1", "1", "16777216"), 0, "advice",
                       "set global innodb_flush_log_at_trx_commit = 1");
    expect_of_settings(SETTINGS("1", "0", "1", "16777216") AND("log_bin", "ON"), 0, "advice",
                       "set global sync_binlog = 1");
    expect_of_settings(SETTINGS("1", "0", "1", "16777216") AND("log_bin", "OFF"), 0, NULL, NULL);
}

Test(check_mysql_settings, several_servers_that_take_writes)
{
    static const char words[] = "the server is one of a cluster in which each takes writes";
    expect_of_settings(GOOD AND("wsrep_on", "ON"), 0, "advice", words);
    expect_of_settings(GOOD AND("group_replication_group_name", "g")
                           AND("group_replication_single_primary_mode", "OFF"),
                       0, "advice", words);
    expect_of_settings(SETTINGS("1", "1", "3", "16777216"), 0, "advice",
                       "auto_increment_increment is 3, as where several servers take writes");
}

Test(check_mysql_settings, small_packets)
{
    expect_of_settings(SETTINGS("1", "1", "1", "4194304"), 0, "advice",
                       "max_allowed_packet is 4194304 bytes");
}

/* ---- the connection ------------------------------------------------------------------------------------- */

/* Promise: a proxy before the server is noticed, and one that shares sessions is a problem. */
Test(check_mysql, a_proxy_before_the_server)
{
    char more[100];
    MYSQL *const other = source_mysql_fixture_connect_without_tls();
    struct mysql_proxy *const proxy = mysql_proxy_open(
        (int)strtol(getenv("OUTBOX_TEST_MYSQL_PORT"), NULL, 10), mysql_client_socket(other));
    struct source_config whole = config;
    (void)snprintf(more, sizeof(more), "host=127.0.0.1 port=%d sslmode=disable",
                   mysql_proxy_port(proxy)); /* fits */
    config = source_mysql_fixture_config_with(more, 10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_POLL;
    expect(0, "ok", "connected to database");
    report_fixture_expect_none("a proxy");
    mysql_proxy_take(proxy, MYSQL_PROXY_OTHER);
    expect(0, "advice", "a proxy stands before the server: it must give each connection of the");
    mysql_proxy_take(proxy, MYSQL_PROXY_IN_TURN);
    expect(1, "problem", "a proxy or pool before the server gives the relay's statements to other");
    free(config.dsn);
    config = whole;
    mysql_proxy_close(proxy);
    mysql_close(other);
}

/* Promise: how the connection is protected is said. */
Test(check_mysql, what_protects_the_connection)
{
    static const struct {
        const char *more;
        bool verified;
        const char *words;
    } modes[] = {
        {"sslmode=disable", false, ", without TLS\n"},
        {"sslmode=require", false, ", the certificate verified by nobody\n"},
        {"sslmode=verify-ca sslrootcert=", true, ", the certificate verified, whatever its name\n"},
        {"sslmode=verify-full sslrootcert=", true,
         ", the certificate verified, and for this host\n"},
    };
    struct source_config whole = config;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char more[400];
        (void)snprintf(more, sizeof(more), "%s%s", modes[i].more,
                       modes[i].verified ? getenv("OUTBOX_TEST_MYSQL_CA") : ""); /* fits */
        config = source_mysql_fixture_config_with(more, 10 * CLOCK_S_US);
        config.mode = SOURCE_MODE_POLL;
        expect(0, "ok", modes[i].words);
        free(config.dsn);
    }
    config = whole;
}

/* Promise: where TLS is what fails, `check` says where TLS is explained. "127.1" is this host by a name that the certificate lacks. */
Test(check_mysql, a_certificate_that_does_not_fit)
{
    char more[400];
    struct source_config whole = config;
    (void)snprintf(more, sizeof(more), "host=127.1 sslmode=verify-full sslrootcert=%s",
                   getenv("OUTBOX_TEST_MYSQL_CA")); /* fits */
    config = source_mysql_fixture_config_with(more, 10 * CLOCK_S_US);
    expect(1, "problem", "docs/TLS.md says what each word means");
    free(config.dsn);
    config = whole;
}

/* Promise: if the server does not show who writes, `check` names the statement that helps. */
Test(check_mysql, an_account_that_may_not_see_who_writes)
{
    struct source_config whole = config;
    if (mysql_fixture_is_mariadb(db)) {
        return; /* its plugin shows everything to every account, and other tests on this server need the plugin */
    }
    mysql_fixture_grant(db, "all", "*");
    config = source_mysql_fixture_config_as_user(10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_POLL;
    expect(0, "advice", "grant select on performance_schema.* to this account");
    free(config.dsn);
    config = whole;
}

/* ---- the log -------------------------------------------------------------------------------------------- */

/* Promise: the right that is missing has the name that this server uses. */
Test(check_mysql, an_account_that_may_not_ask_where_the_log_ends)
{
    struct source_config whole = config;
    mysql_fixture_grant(db, "all", "*");
    config = source_mysql_fixture_config_as_user(10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_AUTO;
    expect(0, "advice", "the account may not ask where the log ends: grant");
    report_fixture_expect("advice", mysql_fixture_is_mariadb(db) ? "grant binlog monitor on *.*"
                                                                 : "grant replication client on");
    free(config.dsn);
    config = whole;
}

Test(check_mysql, a_column_of_which_the_log_has_no_utf_8)
{
    config.mode = SOURCE_MODE_AUTO;
    run("alter table outbox modify type varchar(256) character set latin1");
    expect(0, "advice", "column \"type\" of table outbox is not in utf8mb4");
}
