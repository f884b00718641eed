/* Every statement of the relay reads along an index: on a table that was never analyzed, and with many dead rows in
 * front that no vacuum may remove. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "relay/postgres/sql.h"
#include "tests/integration/pg_fixture.h"

#include "fetch_heads_sql.h"
#include "fetch_next_exact_sql.h"
#include "fetch_next_sql.h"
#include "forget_sent_sql.h"
#include "heads_sql.h"
#include "hold_sql.h"
#include "release_sql.h"
#include "session_sql.h"
#include "settle_held_keep_sql.h"
#include "settle_held_sql.h"
#include "settle_keep_sql.h"
#include "settle_sql.h"
#include "wake_sql.h"

#define DEAD "200000"
#define ALIVE "5000"

static PGconn *conn;
static PGconn *holder;

static void
prepare(const char *name, const char *sql)
{
    char *text = postgres_sql(sql, "public");
    PGresult *result = PQprepare(conn, name, text, 0, NULL);
    memory_free(text);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(conn));
    PQclear(result);
}

static void
set_up_session(void)
{
    /* A lease longer than any statement here, because a statement is ended after three quarters of it. */
    const char *const values[] = {"600000"};
    PGresult *result = PQexecParams(conn, sql_session, 1, NULL, values, NULL, NULL, 0);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    PQclear(result);
    prepare("fetch_next", sql_fetch_next);
    prepare("fetch_next_exact", sql_fetch_next_exact);
    prepare("fetch_heads", sql_fetch_heads);
    prepare("settle", sql_settle);
    prepare("settle_keep", sql_settle_keep);
    prepare("settle_held", sql_settle_held);
    prepare("settle_held_keep", sql_settle_held_keep);
    prepare("hold", sql_hold);
    prepare("release", sql_release);
    prepare("heads", sql_heads);
    prepare("wake", sql_wake);
    prepare("forget_sent", sql_forget_sent);
}

static void
create_alive(void)
{
    conn = pg_fixture_create();
    pg_fixture_load_outbox(conn);
    pg_exec(conn, "alter table outbox set (autovacuum_enabled = off); "
                  "alter table outbox_held set (autovacuum_enabled = off)");
    pg_exec(conn, "insert into outbox (key, payload, deliver_after) select 'k' || n % 1000, 'x', "
                  "case when n % 50 = 0 then now() - '1 h'::interval end "
                  "from generate_series(1, " ALIVE ") n");
    /* EXECUTE takes functions as parameters, but no subqueries. */
    pg_exec(conn,
            "create function ids(first int8, size int8) returns int8[] language sql as 'select "
            "array_agg(n) from generate_series(first, first + size - 1) n'; "
            "create function repeated(value int8, size int8) returns int8[] language sql as "
            "'select array_fill(value, array[size::int])'; "
            "create function repeated(value text, size int8) returns text[] language sql as "
            "'select array_fill(value, array[size::int])'; "
            "create function hashes(size int8) returns int8[] language sql as 'select "
            "array_agg(hashtextextended(''k'' || n, 0)) from generate_series(0, size - 1) n'");
    set_up_session();
}

/* A snapshot of others keeps the dead rows, which have lower ids, from being removed. */
static void
create(void)
{
    create_alive();
    pg_exec(conn, "truncate outbox restart identity");
    pg_exec(conn, "insert into outbox (key, payload, deliver_after) select 'k' || n % 1000, 'x', "
                  "case when n % 50 = 0 then now() - '1 h'::interval end "
                  "from generate_series(1, " DEAD ") n");
    holder = pg_fixture_connect();
    pg_exec(holder, "begin isolation level repeatable read; select 1");
    pg_exec(conn, "delete from outbox");
    pg_exec(conn, "insert into outbox (key, payload, deliver_after) select 'k' || n % 1000, 'x', "
                  "case when n % 50 = 0 then now() - '1 h'::interval end "
                  "from generate_series(1, " ALIVE ") n");
}

static void
drop(void)
{
    PQfinish(holder);
    pg_fixture_drop(conn);
}

TestSuite(source_postgres_plans, .init = create, .fini = drop, .timeout = 120);
TestSuite(source_postgres_held_plans, .init = create_alive, .fini = drop, .timeout = 120);

/* The plan as one text, and the number of pages it touched. */
static char *
explain(const char *execute, long *ret_pages)
{
    char sql[500];
    char plan[16000] = "";
    (void)snprintf(sql, sizeof(sql), "explain (analyze, buffers, costs off, timing off) %s",
                   execute);
    PGresult *result = PQexec(conn, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    *ret_pages = 0;
    for (int i = 0; i < PQntuples(result); i++) {
        const char *line = PQgetvalue(result, i, 0);
        const char *hit = strstr(line, "shared hit=");
        const char *read = strstr(line, "read=");
        if (*ret_pages == 0 && (hit != NULL || read != NULL)) { /* the top node has all */
            *ret_pages = (hit != NULL ? strtol(hit + strlen("shared hit="), NULL, 10) : 0) +
                         (read != NULL ? strtol(read + strlen("read="), NULL, 10) : 0);
        }
        (void)snprintf(plan + strlen(plan), sizeof(plan) - strlen(plan), "%s\n", line);
    }
    PQclear(result);
    return strdup(plan);
}

static void
expect_index(const char *execute, const char *index, long pages_max)
{
    long pages;
    char *plan = explain(execute, &pages);
    char scan[100];
    (void)snprintf(scan, sizeof(scan), "using %s on outbox", index);
    cr_assert_not_null(strstr(plan, scan), "%s", plan);
    cr_assert_null(strstr(plan, "Seq Scan"), "%s", plan);
    cr_assert_null(strstr(plan, "Bitmap"), "%s", plan);
    cr_assert_null(strstr(plan, "Incremental Sort"), "%s", plan);
    cr_assert(pages > 0 && pages <= pages_max, "%ld pages:\n%s", pages, plan);
    free(plan);
}

Test(source_postgres_plans, the_next_rows)
{
    /* 1001 rows are about 15 pages, plus the way down the index. */
    expect_index("execute fetch_next(" DEAD ", '{200001}', 1001, 4096, 1000000)", "outbox_pkey",
                 60);
    expect_index("execute fetch_next_exact(" DEAD
                 ", '{200001}', 1001, 4194304, 1000000, 9999999, null)",
                 "outbox_pkey", 60);
}

Test(source_postgres_plans, rows_by_id)
{
    expect_index("execute settle('{200001,200003,3}')", "outbox_pkey", 30);
}

Test(source_postgres_plans, statistics_change_nothing)
{
    pg_exec(conn, "analyze outbox; discard plans");
    expect_index("execute fetch_next(" DEAD ", '{200001}', 1001, 4096, 1000000)", "outbox_pkey",
                 60);
    expect_index("execute settle('{200001,200003,3}')", "outbox_pkey", 30);
}

Test(source_postgres_plans, a_table_that_was_empty_when_the_statement_was_planned)
{
    pg_exec(conn, "truncate outbox restart identity; analyze outbox; discard plans");
    expect_index("execute fetch_next(0, '{}', 1001, 4096, 1000000)", "outbox_pkey", 10);
    expect_index("execute settle('{1}')", "outbox_pkey", 10);
    pg_exec(conn, "insert into outbox (payload) select 'x' from generate_series(1, 20000)");
    expect_index("execute fetch_next(10000, '{}', 1001, 4096, 1000000)", "outbox_pkey", 60);
    expect_index("execute settle('{10000}')", "outbox_pkey", 20);
}

/* The keys k0 to k63 and 936 others have waiting messages; then a quarter of the messages each is scheduled for the
 * same time, or retrying. */
#define HELD "50000"

static void
hold_many(void)
{
    pg_exec(conn,
            "insert into outbox_held (id, message_id, routing_key, key, payload, created_at, "
            "state, next_attempt_at) select n, gen_random_uuid(), '', 'k' || n % 1000, 'x', "
            "now(), case n / 1000 % 4 when 0 then 'scheduled' when 1 then 'retrying' else "
            "'waiting' end, case when n / 1000 % 4 < 2 then timestamptz '2026-01-01' end from "
            "generate_series(1000001, 1000000 + " HELD ") n");
}

static void
expect_held_plans(void)
{
    /* Rolled back, so that each statement finds the same rows. */
    pg_exec(conn, "begin");
    /* Up to 100 rows of each key's part of the index, and the 100 that move. */
    expect_index("execute release(hashes(64), 100)", "outbox_held_waiting", 6000);
    pg_exec(conn, "rollback; begin");
    expect_index("execute release(hashes(64), 100)", "outbox_held_pkey", 6000);
    pg_exec(conn, "rollback; begin");
    expect_index("execute wake(100, null)", "outbox_held_due", 3000);
    pg_exec(conn, "rollback; begin");
    expect_index("execute wake(100, null)", "outbox_held_pkey", 3000);
    pg_exec(conn, "rollback; begin");
    /* A page or two for each row, and as many again if old versions are still in front, because autovacuum keeps them
     * by its snapshot, whatever table it works on. All retrying rows would be 12,500 pages. */
    expect_index("execute fetch_heads('{1001000}', 101, 4194304, 200000000, null, '{}', '{}')",
                 "outbox_held_due", 1000);
    expect_index("execute settle_held('{1000001,1000002}')", "outbox_held_pkey", 30);
    expect_index("execute settle_held_keep('{1000003,1000004}')", "outbox_held_pkey", 60);
    pg_exec(conn, "rollback; begin");
    expect_index("execute hold('{1,2,1000005}', '{2,3,2}', '{0,0,0}', '{1,0,1}', "
                 "'{5,0,5}', '{a,null,b}')",
                 "outbox_held_pkey", 600); /* its functions are planned */
    pg_exec(conn, "rollback");
}

Test(source_postgres_held_plans, held_messages)
{
    hold_many();
    expect_held_plans();
    pg_exec(conn, "analyze outbox_held; discard plans");
    expect_held_plans();
    pg_exec(conn, "delete from outbox_held where state = 'retrying'");
    pg_exec(conn, "vacuum outbox_held");
    /* 1000 keys have waiting messages: two ways down the index for each. */
    expect_index("execute heads", "outbox_held_waiting", 6000);
}

/* The first execution makes the plan. */
static void
plan_all(void)
{
    pg_exec(conn, "execute release('{1}', 100); execute wake(100, null); execute heads; "
                  "execute fetch_heads('{}', 101, 4194304, 200000000, null, '{}', '{}'); execute "
                  "settle_held('{1}'); "
                  "execute settle_held_keep('{1}'); "
                  "execute hold('{9999999}', '{2}', '{0}', '{1}', '{5}', '{a}')");
}

Test(source_postgres_held_plans, held_messages_in_tables_that_were_empty_when_planned)
{
    pg_exec(conn, "analyze outbox_held; discard plans");
    plan_all();
    hold_many();
    expect_held_plans();
}

/* A statement that compares the state again must not read all rows that have this state by then. */
Test(source_postgres_held_plans, states_that_no_row_had_when_planned)
{
    hold_many();
    pg_exec(conn, "create table states as select id, state from outbox_held; "
                  "update outbox_held set state = 'dead', next_attempt_at = null");
    pg_exec(conn, "analyze outbox_held; discard plans");
    plan_all();
    pg_exec(conn,
            "update outbox_held as held set state = states.state, next_attempt_at = case when "
            "states.state in ('scheduled', 'retrying') then timestamptz '2026-01-01' end from "
            "states where states.id = held.id");
    expect_held_plans();
}

Test(source_postgres_held_plans, many_holds_at_once)
{
    long pages;
    char *plan = explain(
        "execute hold(ids(1, 2000), repeated(2, 2000), repeated(0, 2000), repeated(1, 2000), "
        "repeated(5, 2000), repeated('e'::text, 2000))",
        &pages);
    /* Two thousand times two thousand would be 4 million comparisons, nearly all without a match. */
    cr_assert_null(strstr(plan, "Rows Removed by Join Filter"), "%s", plan);
    free(plan);
}

Test(source_postgres_held_plans, what_was_sent)
{
    pg_exec(conn, "insert into outbox_sent_batch (sent_at, total_bytes, ids, message_ids) "
                  "select now() - '1 d'::interval + n * '1 ms'::interval, n, array[n], "
                  "array[gen_random_uuid()] from generate_series(1, 200000) n");
    expect_index("execute forget_sent(3600000000, 100, 1000)", "outbox_sent_batch_pkey", 450);
    expect_index("execute settle_keep('{1,3,9999999}')", "outbox_pkey", 60);
}

/* A million messages that were moved, whose dead rows a snapshot keeps, must not be read over again and again. */
Test(source_postgres_held_plans, waking_begins_where_it_ended)
{
    holder = pg_fixture_connect();
    hold_many();
    pg_exec(holder, "begin isolation level repeatable read; select 1");
    pg_exec(conn, "delete from outbox_held");
    hold_many();
    pg_exec(conn,
            "update outbox_held set next_attempt_at = '2026-01-02' where state = 'scheduled'");
    expect_index("execute wake(10, 1767312000000000)", "outbox_held_due", 400);
}
