/* Every statement of the relay reads along an index: on a table that was never analyzed, and when
 * dead rows that no vacuum may remove lie in front. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/pg_fixture.h"

#include "fetch_next_exact_sql.h"
#include "fetch_next_sql.h"
#include "session_sql.h"
#include "settle_sql.h"

#define DEAD "200000"
#define ALIVE "5000"

static PGconn *conn;
static PGconn *holder;

static void
prepare(const char *name, const char *sql)
{
    PGresult *result = PQprepare(conn, name, sql, 0, NULL);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(conn));
    PQclear(result);
}

static void
set_up_session(void)
{
    const char *const values[] = {"15000"};
    PGresult *result = PQexecParams(conn, sql_session, 1, NULL, values, NULL, NULL, 0);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    PQclear(result);
    prepare("fetch_next", sql_fetch_next);
    prepare("fetch_next_exact", sql_fetch_next_exact);
    prepare("settle", sql_settle);
}

/* Someone's snapshot keeps the dead rows from being removed. */
static void
create(void)
{
    conn = pg_fixture_create();
    pg_fixture_load_outbox(conn);
    pg_exec(conn, "alter table outbox set (autovacuum_enabled = off)");
    pg_exec(conn, "insert into outbox (key, payload, deliver_after) select 'k' || n % 1000, 'x', "
                  "case when n % 50 = 0 then now() - '1 h'::interval end "
                  "from generate_series(1, " DEAD ") n");
    holder = pg_fixture_connect();
    pg_exec(holder, "begin isolation level repeatable read; select 1");
    pg_exec(conn, "delete from outbox");
    pg_exec(conn, "insert into outbox (key, payload, deliver_after) select 'k' || n % 1000, 'x', "
                  "case when n % 50 = 0 then now() - '1 h'::interval end "
                  "from generate_series(1, " ALIVE ") n");
    set_up_session();
}

static void
drop(void)
{
    PQfinish(holder);
    pg_fixture_drop(conn);
}

TestSuite(source_postgres_plans, .init = create, .fini = drop, .timeout = 120);

/* The plan as one text, and the pages it touched. */
static char *
explain(const char *execute, long *ret_pages)
{
    char sql[500];
    char plan[8000] = "";
    (void)snprintf(sql, sizeof(sql), "explain (analyze, buffers, costs off, timing off) %s",
                   execute);
    PGresult *result = PQexec(conn, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    *ret_pages = 0;
    for (int i = 0; i < PQntuples(result); i++) {
        const char *line = PQgetvalue(result, i, 0);
        const char *hit = strstr(line, "shared hit=");
        const char *read = strstr(line, "read=");
        if (*ret_pages == 0 && (hit != NULL || read != NULL)) { /* the topmost node has them all */
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
    (void)snprintf(scan, sizeof(scan), "Index Scan using %s on outbox", index);
    cr_assert_not_null(strstr(plan, scan), "%s", plan);
    cr_assert_null(strstr(plan, "Seq Scan"), "%s", plan);
    cr_assert(pages > 0 && pages <= pages_max, "%ld pages:\n%s", pages, plan);
    free(plan);
}

Test(source_postgres_plans, the_next_rows)
{
    /* 1001 rows are some 15 pages, and the way down the index. */
    expect_index("execute fetch_next(" DEAD ", '{200001}', 1001, 4096, 1000000, 9999999)",
                 "outbox_pkey", 60);
    expect_index("execute fetch_next_exact(" DEAD ", '{200001}', 1001, 4194304, 1000000, 9999999)",
                 "outbox_pkey", 60);
}

Test(source_postgres_plans, rows_by_id)
{
    expect_index("execute settle('{200001,200003,3}')", "outbox_pkey", 30);
}

Test(source_postgres_plans, statistics_change_nothing)
{
    pg_exec(conn, "analyze outbox; discard plans");
    expect_index("execute fetch_next(" DEAD ", '{200001}', 1001, 4096, 1000000, 9999999)",
                 "outbox_pkey", 60);
    expect_index("execute settle('{200001,200003,3}')", "outbox_pkey", 30);
}

Test(source_postgres_plans, a_table_that_was_empty_when_the_statement_was_planned)
{
    pg_exec(conn, "truncate outbox restart identity; analyze outbox; discard plans");
    expect_index("execute fetch_next(0, '{}', 1001, 4096, 1000000, 9999999)", "outbox_pkey", 10);
    expect_index("execute settle('{1}')", "outbox_pkey", 10);
    pg_exec(conn, "insert into outbox (payload) select 'x' from generate_series(1, 20000)");
    expect_index("execute fetch_next(10000, '{}', 1001, 4096, 1000000, 9999999)", "outbox_pkey",
                 60);
    expect_index("execute settle('{10000}')", "outbox_pkey", 20);
}
