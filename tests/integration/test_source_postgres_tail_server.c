/* Reading the log of a server with other settings, or one that crashes, removes log or is replaced: each test has its
 * own server. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/servers_fixture.h"
#include "tests/integration/source_fixture.h"

#define ROWS_MAX 1000

static PGconn *admin;
static struct source_config config;
static struct source *source;

static void
create(void)
{
    servers_start("postgres");
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    pg_exec(admin, "create publication outbox_relay_public for table outbox");
    config = source_fixture_config(pg_fixture_dsn(), 10 * CLOCK_S_US);
    config.mode = SOURCE_MODE_TAIL;
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    PQfinish(admin);
    servers_stop();
}

TestSuite(source_postgres_tail_server, .init = create, .fini = drop, .timeout = 240);

static void
restart_with(const char *setting)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "alter system set %s", setting);
    pg_exec(admin, sql);
    servers_do("restart postgres");
    PQreset(admin);
    source = source_fixture_own(&config);
}

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
    cr_assert_eq(error.class, ERROR_CONFIG);
    expect_words(&error, words);
}

static void
expect_notice(const char *words)
{
    const struct error error = source_fixture_expect(source, SOURCE_NOTICE).notice.error;
    expect_words(&error, words);
}

/* The next row of the log has this id; earlier batches must be empty. */
static void
expect_row(int64_t id)
{
    size_t count;
    do {
        const struct source_log log = source_fixture_log(source, 1);
        count = log.batch->count;
        cr_assert(count == 0 || log.batch->rows[0].id == id);
        batch_free(log.batch);
    } while (count == 0);
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

static uint64_t
log_end(void)
{
    return (uint64_t)pg_query_int(admin, "select pg_current_wal_flush_lsn() - '0/0'::pg_lsn");
}

Test(source_postgres_tail_server, a_server_without_logical_decoding)
{
    restart_with("wal_level = replica");
    expect_refused("wal_level is replica: set wal_level = logical and restart the server");
}

Test(source_postgres_tail_server, a_server_without_a_free_slot)
{
    restart_with("max_replication_slots = 0");
    expect_refused("no replication slot is free: raise max_replication_slots (now 0)");
}

Test(source_postgres_tail_server, a_server_without_a_free_sender)
{
    restart_with("max_wal_senders = 0");
    expect_refused("no process is free to send the log: raise max_wal_senders (now 0)");
}

Test(source_postgres_tail_server, a_database_in_another_encoding)
{
    static char dsn[1000];
    pg_exec(admin, "create database latin template template0 encoding 'LATIN1' locale 'C'");
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=latin", pg_fixture_dsn());
    free(config.dsn);
    config.dsn = strdup(dsn);
    PGconn *latin = PQconnectdb(dsn);
    pg_fixture_load_outbox(latin);
    PQfinish(latin);
    source = source_fixture_own(&config);
    expect_refused("the database has encoding LATIN1");
}

/* A checkpoint removes log if there is more of it than the server may keep. */
static void
lose_slot(void)
{
    for (int i = 0; i < 5; i++) {
        pg_exec(admin, "select pg_logical_emit_message(false, 'test', 'x')");
        pg_exec(admin, "select pg_switch_wal()");
    }
    pg_exec(admin, "checkpoint");
    cr_assert_eq(
        pg_query_int(admin, "select count(*) from pg_replication_slots where wal_status = 'lost'"),
        1);
}

Test(source_postgres_tail_server, a_slot_that_was_invalidated_is_made_anew)
{
    restart_with("max_slot_wal_keep_size = '1MB'");
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_row(1);
    lose_slot();
    source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
    struct source_event event = source_fixture_next(source);
    while (event.type == SOURCE_LOG || event.type == SOURCE_ALIVE) {
        if (event.type == SOURCE_LOG) {
            source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
        }
        source_event_done(&event);
        event = source_fixture_next(source);
    }
    cr_assert_eq(event.type, SOURCE_NOT_TAILING);
    cr_assert_neq(event.not_tailing.class, ERROR_CONFIG, "it heals by itself");
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    expect_notice("has removed log that it needs (max_slot_wal_keep_size)");
    (void)source_fixture_expect(source, SOURCE_TAILING);
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    expect_row(2);
}

Test(source_postgres_tail_server, a_crash_sets_the_slot_back)
{
    source = source_fixture_own(&config);
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "checkpoint");
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_row(1);
    const uint64_t position = log_end();
    source->ops->tail_safe(source, position, clock_monotonic_us());
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    expect_row(2);
    servers_do("kill postgres");
    servers_do("start postgres");
    PQreset(admin);
    expect_return();
    cr_assert_leq(source_fixture_tail(source, 0), position);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_geq(source_fixture_tail(source, position), position);
    expect_row(2);
}

/* On its own server, because nobody else can make a slot while the transaction is open. */
Test(source_postgres_tail_server, a_transaction_that_is_open_for_long_is_blamed)
{
    PGconn *long_one = pg_fixture_connect();
    pg_exec(long_one, "begin; insert into outbox (payload) values ('1')");
    source = source_fixture_own(&config);
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    expect_notice("does not exist");
    expect_notice("waits for transactions that were open");
    pg_exec(long_one, "commit");
    (void)source_fixture_expect(source, SOURCE_TAILING);
    PQfinish(long_one);
}

/* The dsn names both servers. */
static void
name_standby(void)
{
    static char dsn[1000];
    char line[100] = "";
    FILE *output = popen("\"$OUTBOX_TEST_SERVICES\" \"$OUTBOX_TEST_OWN\" env | sed -n "
                         "'s/.*OUTBOX_TEST_PG_STANDBY_PORT=//p'",
                         "r");
    cr_assert_not_null(output);
    cr_assert_not_null(fgets(line, sizeof(line), output));
    cr_assert_eq(pclose(output), 0);
    line[strcspn(line, "\n")] = '\0';
    (void)snprintf(
        dsn, sizeof(dsn), "host=127.0.0.1,127.0.0.1 port=%s,%s user=postgres password=%s dbname=%s",
        getenv("OUTBOX_TEST_PG_PORT"), line, getenv("OUTBOX_TEST_PG_PASSWORD"), PQdb(admin));
    free(config.dsn);
    config.dsn = strdup(dsn);
}

static void
connect_to_standby(void)
{
    PQfinish(admin);
    admin = PQconnectdb(config.dsn);
    cr_assert_eq(PQstatus(admin), CONNECTION_OK, "%s", PQerrorMessage(admin));
}

Test(source_postgres_tail_server, a_standby_that_is_promoted)
{
    servers_do("start standby");
    name_standby();
    source = source_fixture_own(&config);
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_row(1);
    servers_do("kill postgres");
    servers_do("promote");
    expect_return();
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    expect_notice("promoted or restored since (timeline 00000002, was 00000001)");
    expect_notice("does not exist");
    (void)source_fixture_expect(source, SOURCE_TAILING);
    connect_to_standby();
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    expect_row(
        pg_query_int(admin, "select max(id) from outbox")); /* a promoted server skips some */
}
