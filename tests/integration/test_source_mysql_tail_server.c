/* Reading the log of a server with other settings, or one that crashes, removes log or is replaced: each test has its
 * own server. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "tests/integration/mysql_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/source_mysql_fixture.h"

#define ROWS_MAX 1000
#define WAIT_US (30 * CLOCK_S_US)
/* Longer than any statement of these tests, during which the source does no work. */
#define TAKEOVER_US (60 * CLOCK_S_US)

static MYSQL *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    servers_start("mariadb");
    admin = source_mysql_fixture_create();
    config = source_mysql_fixture_config(TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    mysql_close(admin);
    servers_stop();
}

TestSuite(source_mysql_tail_server, .init = create, .fini = drop, .timeout = 240);

static void
run(const char *sql)
{
    mysql_fixture_exec(admin, sql);
}

/* Expects this many rows, in any number of batches. */
static void
expect_rows(int64_t first, size_t count)
{
    for (size_t seen = 0; seen < count;) {
        const struct source_log log = source_fixture_log(source, ROWS_MAX);
        for (size_t i = 0; i < log.batch->count; i++, seen++) {
            const int64_t id = log.batch->rows[i].id;
            cr_assert_eq(id, first + (int64_t)seen, "%ld instead of %ld", id,
                         first + (int64_t)seen);
        }
        batch_free(log.batch);
    }
}

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

/* With its own server, because large rows of others in a shared log would be in memory once, too. */
Test(source_mysql_tail_server, a_huge_transaction_takes_no_memory)
{
    source = source_fixture_own(&config);
    (void)source_fixture_tail(source, 0);
    const long before_kib = memory_kib();
    run("create table ten (n int)");
    run("insert into ten values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)");
    run("insert into outbox (id, payload) select 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n, "
        "repeat('x', 4000) from ten a, ten b, ten c, ten d order by 1");
    expect_rows(1, 10000);
    cr_assert_lt(memory_kib() - before_kib, 8 << 10);
}

/* ---- what is refused, with what to do about it ---------------------------------------------------------- */

static void
expect_words(const struct error *error, const char *words)
{
    cr_assert_not_null(strstr(error->text, words), "\"%s\" is not in: %s", words, error->text);
}

static void
expect_refused(const char *words)
{
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    const struct error error = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_assert_eq(error.class, ERROR_CONFIG, "%s", error.text);
    expect_words(&error, words);
}

static void
reconnect(void)
{
    mysql_close(admin);
    admin = mysql_fixture_connect();
}

static void
restart_with(const char *line)
{
    servers_shell("echo '%s' >>%s/mariadb/server.cnf", line, servers_directory());
    servers_do("restart mariadb");
    reconnect();
}

Test(source_mysql_tail_server, a_server_without_a_log)
{
    restart_with("skip-log-bin");
    source = source_fixture_own(&config);
    expect_refused("the server keeps no binary log: start it with log_bin");
}

/* When the format is right again, the next look notices. */
Test(source_mysql_tail_server, a_log_that_is_not_of_whole_rows)
{
    source = source_fixture_own(&config);
    run("set global binlog_format = 'MIXED'");
    expect_refused("binlog_format is MIXED, so the log may have statements instead of rows: set");
    run("set global binlog_format = 'ROW'");
    run("set global binlog_row_image = 'MINIMAL'");
    expect_refused("binlog_row_image is MINIMAL, so rows in the log are not whole: set global");
    run("set global binlog_row_image = 'FULL'");
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1);
}

Test(source_mysql_tail_server, a_database_that_is_left_out_of_the_log)
{
    char line[200];
    (void)snprintf(line, sizeof(line), "binlog-ignore-db = %s", mysql_fixture_database());
    restart_with(line);
    source = source_fixture_own(&config);
    expect_refused("out of its log: mend its binlog_do_db or binlog_ignore_db");
}

/* Then the source cannot know where to begin in the log. */
Test(source_mysql_tail_server, a_server_that_does_not_say_who_writes)
{
    if (mysql_fixture_is_mariadb(admin)) {
        run("uninstall soname 'metadata_lock_info'");
    } else {
        run("update performance_schema.setup_instruments set enabled = 'NO' "
            "where name = 'wait/lock/metadata/sql/mdl'");
    }
    source = source_fixture_own(&config);
    expect_refused("the server does not say who writes the outbox: ");
}

/* ---- what ends the reading ------------------------------------------------------------------------------ */

/* Other events of the log may come before. */
static void
expect_end(enum error_class class, const char *words)
{
    const struct error error = source_fixture_end_of_log(source, class);
    expect_words(&error, words);
}

/* Where the log ends now. */
static log_position
log_end(void)
{
    source->ops->watermark(source, clock_monotonic_us());
    return source_fixture_expect(source, SOURCE_FINAL).final.log_end;
}

static void
expect_begun_behind(int64_t next_id)
{
    (void)source_fixture_tail(source, log_end());
    run("insert into outbox (payload) values ('x')");
    expect_rows(next_id, 1);
}

static void
run_in_a_session(const char *setting, const char *sql)
{
    MYSQL *session = mysql_fixture_connect();
    mysql_fixture_exec(session, setting);
    mysql_fixture_exec(session, sql);
    mysql_close(session);
}

Test(source_mysql_tail_server, log_that_was_thrown_away)
{
    source = source_fixture_own(&config);
    const log_position before = source_fixture_tail(source, 0);
    source->ops->tail_end(source, clock_monotonic_us());
    run("insert into outbox (payload) values ('1')");
    run("flush binary logs");
    run("insert into outbox (payload) values ('2')");
    run("flush binary logs");
    run("purge binary logs before now() + interval 1 day");
    source->ops->tail_begin(source, before, clock_monotonic_us());
    const struct error error = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_assert_eq(error.class, ERROR_TRANSIENT, "%s", error.text);
    expect_words(&error, "the server does not send its log from where it was to be read (1236");
}

static void
reset_log(void)
{
    if (mysql_query(admin, "reset master") != 0) {
        run("reset binary logs and gtids");
    }
}

/* Positions of the old log are forgotten together with the ownership. */
Test(source_mysql_tail_server, a_log_that_is_numbered_anew)
{
    source = source_fixture_own(&config);
    run("flush binary logs");
    (void)source_fixture_watermark(source);
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    (void)source_fixture_expect(source, SOURCE_TAILING);
    source->ops->tail_end(source, clock_monotonic_us());
    reset_log();
    source->ops->watermark(source, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    expect_words(&lost, "the server's log was begun anew (RESET MASTER)");
    (void)source_fixture_await_owned(source);
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1);
}

Test(source_mysql_tail_server, statements_and_rows_in_part)
{
    source = source_fixture_own(&config);
    (void)source_fixture_tail(source, 0);
    run_in_a_session("set session binlog_format = 'STATEMENT'",
                     "insert into outbox (message_id, payload) values (unhex(repeat('0a', 16)), "
                     "'1')");
    expect_end(ERROR_CONFIG, "let all sessions have binlog_format = ROW");
    expect_begun_behind(2);
    run_in_a_session("set session binlog_row_image = 'MINIMAL'",
                     "insert into outbox (payload) values ('3')");
    expect_end(ERROR_CONFIG, "rows of the outbox are not whole in the log");
    expect_begun_behind(4);
}

/* ---- GTIDs ---------------------------------------------------------------------------------------------- */

/* Changes gtid_mode step by step from off to on, or back, because the default depends on the version. */
static void
turn_gtids_round(void)
{
    static const char *const modes[] = {"off", "off_permissive", "on_permissive", "on"};
    const bool on = mysql_fixture_int(admin, "select @@global.gtid_mode = 'ON'") == 1;
    run("set global enforce_gtid_consistency = on");
    for (size_t step = 1; step < 4; step++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql), "set global gtid_mode = %s", modes[on ? 3 - step : step]);
        run(sql);
    }
}

/* In MySQL transactions may have GTIDs or not; in MariaDB they always do, in any number of domains. */
Test(source_mysql_tail_server, transactions_of_other_names)
{
    source = source_fixture_own(&config);
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    if (mysql_fixture_is_mariadb(admin)) {
        run("set session gtid_domain_id = 7");
        run("set session gtid_seq_no = 4711");
    } else {
        turn_gtids_round();
    }
    run("insert into outbox (payload) values ('2')");
    expect_rows(1, 2);
}

/* ---- servers -------------------------------------------------------------------------------------------- */

static void
crash(void)
{
    servers_do("kill mariadb");
    servers_do("start mariadb");
    reconnect();
}

/* Waits until it owns the outbox again; it may fail to connect before. */
static void
expect_return(void)
{
    struct source_event event;
    do {
        event = source_fixture_next(source);
        source_event_done(&event);
        cr_assert(event.type != SOURCE_LOST || event.lost.class != ERROR_CONFIG, "%s",
                  event.lost.text);
    } while (event.type != SOURCE_OWNED);
}

/* After a crash the server begins another log file. */
Test(source_mysql_tail_server, a_crash)
{
    source = source_fixture_own(&config);
    const log_position before = source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1);
    crash();
    expect_return();
    cr_assert_gt(source_fixture_tail(source, 0), before);
    run("insert into outbox (payload) values ('2')");
    expect_rows(2, 1);
}

/* The port of the second instance. */
static const char *
second_port(void)
{
    static char line[100];
    FILE *output = popen("\"$OUTBOX_TEST_SERVICES\" \"$OUTBOX_TEST_OWN/second\" env | sed -n "
                         "'s/.*OUTBOX_TEST_MYSQL_PORT=//p'",
                         "r");
    cr_assert_not_null(output);
    cr_assert_not_null(fgets(line, sizeof(line), output));
    cr_assert_eq(pclose(output), 0);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

/* As root, because the second server does not have the test's database yet. */
static void
run_on_second(const char *sql)
{
    servers_shell("$(command -v mariadb || command -v mysql) --no-defaults "
                  "--socket=%s/second/mariadb/socket --user=root -e \"%s\"",
                  servers_directory(), sql);
}

/* The second server replicates everything from the first one, from the beginning. */
static void
follow(void)
{
    char sql[600];
    const bool is_mariadb = mysql_fixture_is_mariadb(admin);
    (void)snprintf(sql, sizeof(sql),
                   is_mariadb ? "set global server_id = 2; set global read_only = 1; "
                                "change master to master_host = '127.0.0.1', master_port = %s, "
                                "master_user = '%s', master_password = '%s', master_log_file = "
                                "'log.000001', master_log_pos = 4; start slave"
                              : "set global server_id = 2; set global read_only = 1; "
                                "change replication source to source_host = '127.0.0.1', "
                                "source_port = %s, source_user = '%s', source_password = '%s', "
                                "source_log_file = 'log.000001', source_log_pos = 4, "
                                "get_source_public_key = 1; start replica",
                   getenv("OUTBOX_TEST_MYSQL_PORT"), getenv("OUTBOX_TEST_MYSQL_USER"),
                   getenv("OUTBOX_TEST_MYSQL_PASSWORD"));
    servers_do_second("start mariadb");
    run_on_second(sql);
}

/* From now on the test connects to the second server. Waits until that has this many rows. */
static void
turn_to_second(int64_t rows)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    MYSQL *second = NULL;
    cr_assert_eq(setenv("OUTBOX_TEST_MYSQL_PORT", second_port(), 1), 0);
    while (second == NULL || mysql_fixture_try(second, "select 1 from outbox") != 0 ||
           mysql_fixture_int(second, "select count(*) from outbox") != rows) {
        cr_assert_lt(clock_monotonic_us(), until_us, "the replica does not follow");
        if (second != NULL) {
            mysql_close(second);
        }
        second = mysql_fixture_try_connect();
    }
    mysql_close(admin);
    admin = second;
}

static void
name_both(const char *first)
{
    char more[200];
    (void)snprintf(more, sizeof(more), "host=127.0.0.1,127.0.0.1 port=%s,%s", first,
                   second_port()); /* fits */
    free(config.dsn);
    config.dsn = source_mysql_fixture_config_with(more, TAKEOVER_US).dsn;
}

/* What has not been sent is in the new server's table, and its log is read from where that table has been read up to. */
Test(source_mysql_tail_server, a_replica_that_is_promoted)
{
    char first[20];
    (void)snprintf(first, sizeof(first), "%s", getenv("OUTBOX_TEST_MYSQL_PORT"));
    follow();
    name_both(first);
    source = source_fixture_own(&config);
    (void)source_fixture_tail(source, 0);
    run("insert into outbox (payload) values ('1')");
    expect_rows(1, 1);
    run("insert into outbox (payload) values ('2')");
    turn_to_second(2);
    servers_do("kill mariadb");
    run_on_second(mysql_fixture_is_mariadb(admin) ? "stop slave; set global read_only = 0"
                                                  : "stop replica; set global read_only = 0");
    expect_return();
    struct batch *batch =
        source_fixture_fetch(source, (struct fetch){.rows_max = ROWS_MAX, .bytes_max = 1 << 20});
    cr_assert_eq(batch->count, 2);
    batch_free(batch);
    (void)source_fixture_tail(source, log_end());
    run("insert into outbox (payload) values ('3')");
    expect_rows(3, 1);
}
