/* The log of a PostgreSQL source: what is committed comes, in the order of the commits, and the server learns what it
 * need not keep. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

#define WAIT_US (30 * CLOCK_S_US)
#define ROWS_MAX 1000
/* Far above what it takes; what is told by the clock alone is told every 10 s or 30 s. */
#define AT_ONCE_US (8 * CLOCK_S_US)
/* Longer than any statement of these tests, while which the source does not work. */
#define TAKEOVER_US (60 * CLOCK_S_US)

static PGconn *admin;
static struct source_config config;
static struct source *source;

/* The database's own. */
static const char slots[] = "from pg_replication_slots where database = current_database()";

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    pg_exec(admin,
            "create publication outbox_relay_public for table outbox with (publish = 'insert')");
    config = source_fixture_config(pg_fixture_dsn(), TAKEOVER_US);
    config.mode = SOURCE_MODE_TAIL;
    source = source_fixture_own(&config);
}

static int64_t
count_slots(const char *condition)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "select count(*) %s %s", slots, condition);
    return pg_query_int(admin, sql);
}

/* Until the server has seen that the connection is gone. */
static void
await_no_reader(void)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    while (count_slots("and active") > 0) {
        cr_assert_lt(clock_monotonic_us(), until_us);
    }
}

/* Lets the source work until its slot is gone. */
static void
await_no_slot(void)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    while (count_slots("") > 0) {
        cr_assert_lt(clock_monotonic_us(), until_us);
        (void)source_fixture_watermark(source);
    }
}

static void
drop_slots(void)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "select pg_drop_replication_slot(slot_name) %s", slots);
    pg_exec(admin, sql);
}

static void
drop(void)
{
    source_fixture_close(source, &config);
    await_no_reader();
    drop_slots();
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_tail, .init = create, .fini = drop, .timeout = 120);

/* So many rows, which must have the ids from `first` on by `step`; in how many batches they like. */
static void
expect_rows(int64_t first, int64_t step, size_t count)
{
    log_position position = 0;
    for (size_t seen = 0; seen < count;) {
        const struct source_log event = source_fixture_log(source, ROWS_MAX);
        for (size_t i = 0; i < event.batch->count; i++, seen++) {
            const struct row *row = &event.batch->rows[i];
            cr_assert_eq(row->id, first + (int64_t)seen * step);
            cr_assert_geq(row->position, position, "not in the order of the commits");
            position = row->position;
        }
        batch_free(event.batch);
    }
}

/* Behind what tells nothing but a position. */
static struct source_log
first_rows(uint32_t rows_max)
{
    struct source_log event = source_fixture_log(source, rows_max);
    while (event.batch->count == 0) {
        batch_free(event.batch);
        event = source_fixture_log(source, rows_max);
    }
    return event;
}

/* A second session, for transactions that stand side by side. */
static PGconn *
begin(const char *sql)
{
    PGconn *session = pg_fixture_connect();
    pg_exec(session, "begin");
    pg_exec(session, sql);
    return session;
}

static void
end(PGconn *session, const char *sql)
{
    pg_exec(session, sql);
    PQfinish(session);
}

static uint64_t
log_end(void)
{
    return (uint64_t)pg_query_int(admin, "select pg_current_wal_flush_lsn() - '0/0'::pg_lsn");
}

/* Until the log has told that it was read so far or farther; nothing of the outbox may be in it. */
static uint64_t
expect_position(uint64_t position)
{
    const uint64_t until_us = clock_monotonic_us() + WAIT_US;
    uint64_t last = 0;
    while (last < position) {
        const struct source_log event = source_fixture_log(source, ROWS_MAX);
        cr_assert_eq(event.batch->count, 0);
        cr_assert_gt(event.position, last, "an empty batch without news");
        cr_assert_lt(clock_monotonic_us(), until_us);
        last = event.position;
        batch_free(event.batch);
    }
    return last;
}

Test(source_postgres_tail, delivers_what_is_committed_from_the_beginning_on)
{
    pg_exec(admin, "insert into outbox (payload) values ('before')");
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('one')");
    pg_exec(admin, "insert into outbox (payload) values ('two'), ('three')");
    expect_rows(2, 1, 3);
}

Test(source_postgres_tail, rows_come_in_the_order_of_the_commits)
{
    (void)source_fixture_tail(source, 0);
    PGconn *first = begin("insert into outbox (payload) values ('1')");
    PGconn *second = begin("insert into outbox (payload) values ('2')");
    end(second, "commit");
    expect_rows(2, 1, 1);
    end(first, "commit");
    expect_rows(1, 1, 1);
}

Test(source_postgres_tail, what_was_rolled_back_does_not_come)
{
    (void)source_fixture_tail(source, 0);
    end(begin("insert into outbox (payload) values ('1')"), "rollback");
    pg_exec(admin, "begin; insert into outbox (payload) values ('2'); savepoint s; "
                   "insert into outbox (payload) values ('3'); rollback to s; "
                   "insert into outbox (payload) values ('4'); commit");
    expect_rows(2, 2, 2);
}

Test(source_postgres_tail, prepared_transactions_come_when_they_are_committed)
{
    (void)source_fixture_tail(source, 0);
    end(begin("insert into outbox (payload) values ('1')"), "prepare transaction 'tail'");
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    expect_rows(2, 1, 1);
    pg_exec(admin, "commit prepared 'tail'");
    expect_rows(1, 1, 1);
}

static void
copy_rows(int count)
{
    PGresult *result = PQexec(admin, "copy outbox (payload) from stdin");
    cr_assert_eq(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(PQputCopyData(admin, "payload\n", 8), 1);
    }
    cr_assert_eq(PQputCopyEnd(admin, NULL), 1);
    result = PQgetResult(admin);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(admin));
    PQclear(result);
    cr_assert_null(PQgetResult(admin));
}

Test(source_postgres_tail, copied_rows_come)
{
    (void)source_fixture_tail(source, 0);
    copy_rows(3000);
    expect_rows(1, 1, 3000);
}

Test(source_postgres_tail, at_most_so_many_rows_and_bytes_at_a_time)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) select repeat('x', 1000)::bytea from "
                   "generate_series(1, 100) n");
    struct source_log log = first_rows(7);
    cr_assert_leq(log.batch->count, 7);
    cr_assert_leq(log.position, log.batch->rows[0].position,
                  "the transaction has not come to its end");
    size_t count = log.batch->count;
    batch_free(log.batch);
    while (count < 100) {
        source->ops->tail_more(source, ROWS_MAX, 3500, clock_monotonic_us());
        log = source_fixture_expect(source, SOURCE_LOG).log;
        cr_assert_leq(log.batch->count, 4);
        count += log.batch->count;
        batch_free(log.batch);
    }
    cr_assert_eq(count, 100);
}

/* AddressSanitizer keeps what was freed for a while: then there is nothing to measure. */
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

Test(source_postgres_tail, a_huge_transaction_takes_no_memory)
{
    (void)source_fixture_tail(source, 0);
    const long before_kib = memory_kib();
    pg_exec(admin, "insert into outbox (payload) select repeat('x', 200)::bytea from "
                   "generate_series(1, 200000) n");
    expect_rows(1, 1, 200000);
    cr_assert_lt(memory_kib() - before_kib, 8 << 10);
}

Test(source_postgres_tail, a_large_payload_comes_whole)
{
    const size_t size = (size_t)64 << 20;
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) select convert_to(repeat('x', 64 << 20), 'UTF8')");
    pg_exec(admin, "insert into outbox (payload) values ('y')");
    const struct source_log log = first_rows(ROWS_MAX);
    const struct span payload = log.batch->rows[0].payload;
    cr_assert_eq(log.batch->count, 1, "more than the bytes that were asked for");
    cr_assert_eq(payload.size, size);
    cr_assert(((const char *)payload.data)[0] == 'x' &&
              memcmp(payload.data, (const char *)payload.data + 1, size - 1) == 0);
    batch_free(log.batch);
    expect_rows(2, 1, 1);
}

static bool
same_span(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void
expect_same(const struct row *row, const struct row *of_table)
{
    cr_assert_eq(row->id, of_table->id);
    cr_assert_arr_eq(row->message_id, of_table->message_id, UUID_BYTES);
    cr_assert_eq(row->created_at_us, of_table->created_at_us);
    cr_assert_eq(row->key_hash, of_table->key_hash);
    cr_assert(row->has_key == of_table->has_key && row->ordered == of_table->ordered &&
              (row->withheld == NULL) == (of_table->withheld == NULL) &&
              row->exchange_is_null == of_table->exchange_is_null);
    cr_assert(same_span(row->exchange, of_table->exchange) &&
              same_span(row->routing_key, of_table->routing_key) &&
              same_span(row->key, of_table->key) && same_span(row->type, of_table->type) &&
              same_span(row->content_type, of_table->content_type) &&
              same_span(row->headers, of_table->headers) &&
              same_span(row->payload, of_table->payload));
    cr_assert_gt(row->position, 0);
}

Test(source_postgres_tail, a_row_is_as_the_table_gives_it)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin,
            "insert into outbox (exchange, routing_key, key, type, content_type, headers, payload) "
            "values ('events', 'order.créé', 'c-7', 'order', 'application/json', '{\"a\": 1}', "
            "'\\x0001ff'), (null, default, null, null, null, null, '')");
    const struct fetch fetch = {.kind = FETCH_NEXT, .rows_max = 10, .bytes_max = 1000};
    struct batch *table = source_fixture_fetch(source, fetch);
    size_t count = 0;
    while (count < 2) {
        const struct source_log event = source_fixture_log(source, 1);
        for (size_t i = 0; i < event.batch->count; i++) {
            expect_same(&event.batch->rows[i], &table->rows[count++]);
        }
        batch_free(event.batch);
    }
    batch_free(table);
}

Test(source_postgres_tail, what_else_is_done_to_the_table_does_not_come)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1'), ('2')");
    pg_exec(admin, "update outbox set payload = 'x'");
    pg_exec(admin, "delete from outbox where id = 1");
    pg_exec(admin, "truncate outbox");
    pg_exec(admin, "insert into outbox (payload) values ('3')");
    expect_rows(1, 1, 3);
}

Test(source_postgres_tail, columns_may_come_and_go)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    pg_exec(admin, "alter table outbox add column tenant text default 'x'");
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    pg_exec(admin, "alter table outbox drop column tenant");
    pg_exec(admin, "insert into outbox (payload) values ('3')");
    pg_exec(admin, "vacuum full outbox");
    pg_exec(admin, "insert into outbox (payload) values ('4')");
    expect_rows(1, 1, 4);
}

Test(source_postgres_tail, an_idle_log_tells_its_position_at_once)
{
    const uint64_t asked = log_end();
    cr_assert_geq(source_fixture_tail(source, asked), asked);
    pg_exec(admin, "select pg_logical_emit_message(false, 'test', '')");
    const uint64_t before_us = clock_monotonic_us();
    (void)expect_position(log_end());
    cr_assert_lt(clock_monotonic_us() - before_us, AT_ONCE_US);
}

Test(source_postgres_tail, what_others_write_advances_the_position)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "create table other (n int)");
    pg_exec(admin, "insert into other select generate_series(1, 1000)");
    (void)expect_position(log_end());
    PGconn *elsewhere = PQconnectdb(getenv("OUTBOX_TEST_PG_DSN"));
    pg_exec(elsewhere, "create temporary table other as select generate_series(1, 1000)");
    (void)expect_position(log_end());
    PQfinish(elsewhere);
}

/* Where the server has let go of the log. */
static uint64_t
confirmed(void)
{
    return (uint64_t)pg_query_int(
        admin, "select confirmed_flush_lsn - '0/0'::pg_lsn from pg_replication_slots "
               "where database = current_database()");
}

/* Lets the source work until the server has let go of the log before this position. */
static void
await_confirmed(uint64_t position, uint64_t until_us)
{
    while (confirmed() < position) {
        cr_assert_lt(clock_monotonic_us(), until_us);
        (void)source_fixture_watermark(source);
    }
}

Test(source_postgres_tail, what_is_safe_reaches_the_slot_soon)
{
    (void)source_fixture_tail(source, 0);
    const uint64_t before = log_end();
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
    const uint64_t safe = expect_position(log_end());
    cr_assert_leq(confirmed(), before, "not before it is safe");
    source->ops->tail_safe(source, safe, clock_monotonic_us());
    await_confirmed(safe, clock_monotonic_us() + AT_ONCE_US);
}

Test(source_postgres_tail, goes_on_from_the_position_that_is_asked_for)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
    const uint64_t position = log_end();
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    expect_rows(2, 1, 1);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_eq(source_fixture_tail(source, position), position);
    expect_rows(2, 1, 1);
    source->ops->tail_end(source, clock_monotonic_us());
    cr_assert_lt(source_fixture_tail(source, 0), position, "what was never safe comes again");
    expect_rows(1, 1, 2);
}

Test(source_postgres_tail, a_position_that_the_slot_has_left_behind_is_not_promised)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
    const uint64_t position = expect_position(log_end());
    source->ops->tail_safe(source, position, clock_monotonic_us());
    source->ops->tail_end(source, clock_monotonic_us()); /* tells it last */
    cr_assert_geq(source_fixture_tail(source, 0), position);
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    expect_rows(2, 1, 1);
}

/* ---- what goes wrong ---- */

static struct error refusal(enum error_class class)
{
    const struct error error = source_fixture_expect(source, SOURCE_NOT_TAILING).not_tailing;
    cr_assert_eq(error.class, class, "%s", error.text);
    return error;
}

static void
expect_words(const struct error *error, const char *words)
{
    cr_assert_not_null(strstr(error->text, words), "\"%s\" is not in: %s", words, error->text);
}

/* The log can't be read, and that is what an operator is told to do. */
static void
expect_refused(const char *what, const char *remedy)
{
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    const struct error error = refusal(ERROR_CONFIG);
    expect_words(&error, what);
    expect_words(&error, remedy);
}

/* Whatever of the log comes before. */
static struct error end_of_log(enum error_class class)
{
    struct source_event event = {.type = SOURCE_LOG};
    while (event.type == SOURCE_LOG || event.type == SOURCE_ALIVE) {
        if (event.type == SOURCE_LOG) {
            source->ops->tail_more(source, ROWS_MAX, 1 << 20, clock_monotonic_us());
        }
        event = source_fixture_next(source);
        source_event_done(&event);
    }
    cr_assert_eq(event.type, SOURCE_NOT_TAILING);
    cr_assert_eq(event.not_tailing.class, class, "%s", event.not_tailing.text);
    return event.not_tailing;
}

static void
expect_notice(const char *words)
{
    const struct error error = source_fixture_expect(source, SOURCE_NOTICE).notice.error;
    expect_words(&error, words);
}

Test(source_postgres_tail, what_is_wrong_with_the_publication_is_told)
{
    pg_exec(admin, "drop publication outbox_relay_public");
    expect_refused("\"outbox_relay_public\" does not exist",
                   "create publication outbox_relay_public for table public.outbox");
    pg_exec(admin, "create publication outbox_relay_public");
    expect_refused("does not contain the outbox",
                   "alter publication outbox_relay_public add table public.outbox");
    pg_exec(admin, "alter publication outbox_relay_public add table public.outbox");
    pg_exec(admin, "alter publication outbox_relay_public set (publish = 'update')");
    expect_refused("does not publish inserts",
                   "alter publication outbox_relay_public set (publish = 'insert')");
    pg_exec(admin, "alter publication outbox_relay_public set (publish = 'insert')");
    pg_exec(admin, "alter publication outbox_relay_public set table outbox where (id > 5)");
    expect_refused("leaves out rows",
                   "alter publication outbox_relay_public set table public.outbox");
    pg_exec(admin, "alter publication outbox_relay_public set table outbox (id, payload)");
    expect_refused("leaves out columns",
                   "alter publication outbox_relay_public set table public.outbox");
    pg_exec(admin, "drop publication outbox_relay_public");
    pg_exec(admin, "create publication outbox_relay_public for all tables");
    (void)source_fixture_tail(source, 0);
}

Test(source_postgres_tail, a_publication_that_is_narrowed_meanwhile_is_seen)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "alter publication outbox_relay_public drop table outbox");
    const struct error error = refusal(ERROR_CONFIG);
    expect_words(&error, "add table public.outbox");
}

Test(source_postgres_tail, a_publication_made_anew_costs_the_slot)
{
    (void)source_fixture_tail(source, 0);
    source->ops->tail_end(source, clock_monotonic_us());
    pg_exec(admin, "drop publication outbox_relay_public");
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    pg_exec(admin, "create publication outbox_relay_public for table public.outbox");
    (void)source_fixture_tail(source, 0);
    const struct error error = end_of_log(ERROR_TRANSIENT);
    uint64_t position = 0;
    if (PQserverVersion(admin) < 180000) {
        expect_words(&error,
                     "can't be read any more: publication \"outbox_relay_public\" does not exist");
    } else { /* the slot stays; the table has been read up to here */
        expect_words(&error, "passed over messages");
        position = (uint64_t)pg_query_int(admin, "select pg_current_wal_insert_lsn() - '0/0'");
    }
    source->ops->tail_begin(source, position, clock_monotonic_us());
    if (position == 0) {
        expect_notice("can't be used any more");
    }
    (void)source_fixture_expect(source, SOURCE_TAILING);
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    expect_rows(2, 1, 1);
}

/* PostgreSQL 18 only warns; a source that reads the same log again, as a tableless one does, is not ended again. */
Test(source_postgres_tail, a_publication_made_anew_ends_a_log_once)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "drop publication outbox_relay_public");
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    pg_exec(admin, "create publication outbox_relay_public for table outbox");
    pg_exec(admin, "insert into outbox (payload) values ('2')");
    (void)end_of_log(ERROR_TRANSIENT);
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    if (PQserverVersion(admin) < 180000) {
        expect_notice("can't be used any more");
        (void)source_fixture_expect(source, SOURCE_TAILING);
        pg_exec(admin, "insert into outbox (payload) values ('2')");
        expect_rows(3, 1, 1);
    } else {
        (void)source_fixture_expect(source, SOURCE_TAILING);
        expect_rows(2, 1, 1);
    }
}

static void
make_slot(const char *plugin)
{
    char sql[300];
    (void)snprintf(
        sql, sizeof(sql),
        "select pg_create_logical_replication_slot('outbox_relay_' || current_database() "
        "|| '_public', '%s')",
        plugin);
    pg_exec(admin, sql);
}

Test(source_postgres_tail, a_slot_that_is_not_ours_is_left_alone)
{
    make_slot("test_decoding");
    expect_refused("is not the relay's (plugin test_decoding", "set `slot` to another name");
}

/* A program that reads the relay's slot. */
static PGconn *
read_slot(const char *name)
{
    char dsn[1200];
    char command[300];
    (void)snprintf(dsn, sizeof(dsn), "%s replication=database application_name='%s'",
                   pg_fixture_dsn(), name);
    PGconn *reader = PQconnectdb(dsn);
    cr_assert_eq(PQstatus(reader), CONNECTION_OK, "%s", PQerrorMessage(reader));
    (void)snprintf(command, sizeof(command),
                   "START_REPLICATION SLOT outbox_relay_%s_public LOGICAL 0/0 (proto_version '1', "
                   "publication_names 'outbox_relay_public')",
                   PQdb(reader));
    PGresult *result = PQexec(reader, command);
    cr_assert_eq(PQresultStatus(result), PGRES_COPY_BOTH, "%s", PQerrorMessage(reader));
    PQclear(result);
    return reader;
}

Test(source_postgres_tail, a_stranger_who_reads_the_slot_is_named)
{
    char what[100];
    make_slot("pgoutput");
    PGconn *reader = read_slot("psql");
    (void)snprintf(what, sizeof(what), "is read by process %d (psql)", PQbackendPID(reader));
    expect_refused(what, "set `slot` to another name");
    PQfinish(reader);
}

Test(source_postgres_tail, an_earlier_relay_that_reads_the_slot_has_to_go)
{
    make_slot("pgoutput");
    PGconn *reader = read_slot("outbox-relay orders");
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
    PQfinish(reader);
}

Test(source_postgres_tail, a_slot_that_is_gone_is_made_anew)
{
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    expect_notice("does not exist");
    (void)source_fixture_expect(source, SOURCE_TAILING);
    source->ops->tail_end(source, clock_monotonic_us());
    await_no_reader();
    drop_slots();
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    expect_notice("does not exist");
    (void)source_fixture_expect(source, SOURCE_TAILING);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
}

static void
end_reader(void)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql), "select count(pg_terminate_backend(active_pid)) %s", slots);
    cr_assert_eq(pg_query_int(admin, sql), 1);
}

Test(source_postgres_tail, a_connection_that_is_ended_can_be_had_again)
{
    const uint64_t position = source_fixture_tail(source, 0);
    end_reader();
    const struct error error = end_of_log(ERROR_CONNECTION);
    expect_words(&error, "57P01");
    (void)source_fixture_tail(source, position);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
}

Test(source_postgres_tail, a_connection_that_is_ended_while_nothing_is_asked_of_it)
{
    (void)source_fixture_tail(source, 0);
    end_reader();
    (void)refusal(ERROR_CONNECTION);
    (void)source_fixture_tail(source, 0);
}

Test(source_postgres_tail, the_end_of_the_ownership_ends_the_reading)
{
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = "
                   "'client backend' "
                   "and application_name = 'outbox-relay orders' and datname = current_database()");
    (void)source_fixture_expect(source, SOURCE_LOST);
    await_no_reader();
    (void)source_fixture_await_owned(source);
    (void)source_fixture_tail(source, 0);
}

/* Not the outbox's, and hardly worth a word in the log's own stream. */
static void
write_log(void)
{
    pg_exec(admin, "select pg_logical_emit_message(false, 'test', repeat('x', 1 << 20)) from "
                   "generate_series(1, 4)");
}

static void
reopen(void)
{
    source->ops->free(source);
    source = source_fixture_own(&config);
}

Test(source_postgres_tail, a_slot_that_holds_back_too_much_is_dropped)
{
    config.wal_retain_max = 2 << 20;
    reopen();
    (void)source_fixture_tail(source, 0);
    write_log();
    struct error error = refusal(ERROR_TRANSIENT);
    expect_words(&error, "held back more than wal_retain_max");
    await_no_slot();
    source->ops->tail_begin(source, 0, clock_monotonic_us());
    error = refusal(ERROR_TRANSIENT);
    expect_words(&error, "not made anew yet");
}

Test(source_postgres_tail, a_slot_that_nobody_reads_is_watched_too)
{
    config.wal_retain_max = 2 << 20;
    reopen();
    (void)source_fixture_tail(source, 0);
    source->ops->tail_end(source, clock_monotonic_us());
    write_log();
    expect_notice("held back more than wal_retain_max");
    await_no_slot();
}

Test(source_postgres_tail, a_heartbeat_moves_an_idle_log)
{
    config.heartbeat_interval_us = 100 * CLOCK_MS_US;
    reopen();
    (void)source_fixture_tail(source, 0);
    for (int i = 0; i < 3; i++) {
        (void)expect_position(log_end() + 1);
    }
}

Test(source_postgres_tail, a_server_that_waits_for_words_hears_them)
{
    char sql[200];
    (void)source_fixture_tail(source, 0);
    (void)snprintf(sql, sizeof(sql), "alter database %s set wal_sender_timeout = '4s'",
                   PQdb(admin));
    pg_exec(admin, sql);
    pg_exec(admin, "insert into outbox (payload) select repeat('x', 1000)::bytea from "
                   "generate_series(1, 20000)");
    reopen();
    (void)source_fixture_tail(source, 0);
    const uint64_t until_us = clock_monotonic_us() + 9 * CLOCK_S_US;
    while (clock_monotonic_us() < until_us) { /* nothing of it is asked for */
        (void)source_fixture_watermark(source);
    }
    expect_rows(1, 1, 20000);
}

Test(source_postgres_tail, a_source_that_polls_does_not_tail)
{
    config.mode = SOURCE_MODE_POLL;
    reopen();
    expect_refused("mode", "poll");
}

Test(source_postgres_tail, a_role_that_may_not_read_the_log_is_told_how_it_may)
{
    char sql[400];
    char what[100];
    (void)snprintf(sql, sizeof(sql),
                   "create role %s login password 'p'; grant all on all tables in schema public to "
                   "%s; grant all on all sequences in schema public to %s",
                   PQdb(admin), PQdb(admin), PQdb(admin));
    pg_exec(admin, sql);
    (void)snprintf(sql, sizeof(sql), "%s user=%s password=p", pg_fixture_dsn(), PQdb(admin));
    free(config.dsn);
    config.dsn = strdup(sql);
    reopen();
    (void)snprintf(what, sizeof(what), "alter role %s replication", PQdb(admin));
    expect_refused("may not read the log", what);
    (void)snprintf(sql, sizeof(sql), "alter role %s replication", PQdb(admin));
    pg_exec(admin, sql);
    (void)source_fixture_tail(source, 0);
    pg_exec(admin, "insert into outbox (payload) values ('1')");
    expect_rows(1, 1, 1);
    reopen();
    (void)snprintf(sql, sizeof(sql), "drop owned by %s", PQdb(admin));
    pg_exec(admin, sql);
}
