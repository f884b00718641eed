/* Rows that cannot be read or deleted, and settings of the role, in cases that only PostgreSQL has. The rest:
 * test_source_hostile.c. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/integration/pg_fixture.h"
#include "tests/integration/source_fixture.h"

static PGconn *admin;
static struct source_config config;
static struct source *source;
static PGconn *other; /* to a database in another encoding */

/* Like a table that was made before there were limits, or whose limits somebody has dropped. */
static void
let_in_anything(PGconn *conn)
{
    pg_exec(conn, "do $$ declare limits record; begin for limits in select conname, "
                  "conrelid::regclass as relation from "
                  "pg_constraint where contype = 'c' and conrelid = 'outbox'::regclass loop "
                  "execute format('alter table %s drop "
                  "constraint %I', limits.relation, limits.conname); end loop; end $$; alter table "
                  "outbox disable trigger user");
}

static void
create(void)
{
    admin = pg_fixture_create();
    pg_fixture_load_outbox(admin);
    let_in_anything(admin);
    config = source_fixture_config(pg_fixture_dsn(), 30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

static void
drop(void)
{
    char sql[200];
    source_fixture_close(source, &config);
    if (other != NULL) {
        (void)snprintf(sql, sizeof(sql), "drop database %s with (force)", PQdb(other)); /* fits */
        PQfinish(other);
        other = NULL;
        pg_exec(admin, sql);
    }
    pg_fixture_drop(admin);
}

TestSuite(source_postgres_hostile, .init = create, .fini = drop, .timeout = 120);

/* From now on the source works on the outbox of a database in this encoding. */
static void
use_encoding(const char *encoding)
{
    char dsn[2000];
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "create database %s_other template template0 encoding '%s' lc_collate 'C' "
                   "lc_ctype 'C'",
                   PQdb(admin), encoding); /* fits */
    pg_exec(admin, sql);
    (void)snprintf(dsn, sizeof(dsn), "%s dbname=%s_other", pg_fixture_dsn(), PQdb(admin));
    other = PQconnectdb(dsn);
    cr_assert_eq(PQsetClientEncoding(other, "UTF8"), 0);
    pg_fixture_load_outbox(other);
    cr_assert_eq(PQsetClientEncoding(other, encoding), 0);
    let_in_anything(other);
    source_fixture_close(source, &config);
    config = source_fixture_config(dsn, 30 * CLOCK_S_US);
    source = source_fixture_own(&config);
}

Test(source_postgres_hostile, text_that_is_no_utf8)
{
    use_encoding("SQL_ASCII");
    pg_exec(
        other,
        "insert into outbox (key, payload) select 'k' || n, 'x' from generate_series(1, 2500) n");
    pg_exec(other, "update outbox set key = E'\\xff' where id = 700; update outbox set type = "
                   "E'caf\\xe9' where id in (1, 701); "
                   "update outbox set headers = '{\"a\": \"\xe9\"}' where id = 2500");
    const int64_t withheld[] = {1, 700, 701, 2500};
    const size_t batches = source_fixture_read_all(source, FETCH_NEXT, 2500, withheld, 4, "22021");
    cr_assert_leq(batches, 60, "%zu", batches);
}

Test(source_postgres_hostile, characters_that_utf8_has_not)
{
    use_encoding("EUC_JP");
    pg_exec(other,
            "insert into outbox (key, payload) select 'k' || n, 'x' from generate_series(1, 20) n");
    pg_exec(other,
            "update outbox set routing_key = convert_from('\\xfefe', 'EUC_JP') where id = 7");
    const int64_t withheld[] = {7};
    (void)source_fixture_read_all(source, FETCH_NEXT, 20, withheld, 1, "22P05");
}

/* If it is held, it is found once, not again at each try, and the others beside it are read. */
Test(source_postgres_hostile, a_held_message_that_cannot_be_read)
{
    use_encoding("SQL_ASCII");
    pg_exec(other, "insert into outbox_held (id, message_id, routing_key, payload, created_at, "
                   "state, next_attempt_at) "
                   "select n, gen_random_uuid(), case n when 3 then E'\\xff' else '' end, 'x', "
                   "now(), 'retrying', now() "
                   "from generate_series(1, 10) n");
    const int64_t withheld[] = {3};
    struct fetch fetch = {.kind = FETCH_HEADS, .rows_max = 64, .bytes_max = 4 << 20};
    int64_t seen[10];
    fetch.ids = seen;
    while (fetch.id_count < 10) {
        struct batch *batch = source_fixture_fetch(source, fetch);
        for (size_t i = 0; i < batch->count; i++) {
            cr_assert_eq(batch->rows[i].withheld != NULL, batch->rows[i].id == withheld[0]);
            seen[fetch.id_count++] = batch->rows[i].id;
        }
        batch_free(batch);
    }
    fetch.id_count = 0;
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert(batch->count == 10 && strstr(batch->rows[2].withheld, "22021") != NULL);
    batch_free(batch);
}

/* Small on the disk. */
#define NUMBERS "(select jsonb_agg('1e131000'::jsonb) from generate_series(1, 9000))"
#define ZEROS \
    "(select jsonb_agg(('1.' || repeat('0', 16000))::jsonb) from generate_series(1, 9000))"
#define LONG_TEXT "repeat('x', 100 << 20)"

Test(source_postgres_hostile, headers_that_would_be_huge)
{
    pg_exec(admin,
            "insert into outbox (headers, payload) values ('{\"a\": 1}', '1'), "
            "(jsonb_build_object('a', " NUMBERS "), '2'), (jsonb_build_object('a', " ZEROS
            "), '3'), "
            "(jsonb_build_object('a', " LONG_TEXT
            "), '4'), (jsonb_build_object('a', repeat('x', 600)), '5'), "
            "((select jsonb_object_agg('k' || n, 1e131000) from generate_series(1, 20) n), '6'), "
            "(null, '7'), ((repeat('[', 3000) || repeat(']', 3000))::jsonb, '8')");
    cr_assert_lt(pg_query_int(admin, "select pg_column_size(headers) from outbox where id = 2"),
                 10000);
    const int64_t withheld[] = {2, 3, 4, 6};
    (void)source_fixture_read_all(source, FETCH_NEXT, 8, withheld, 4, "headers");
    pg_exec(admin, "with moved as (delete from outbox returning *) insert into outbox_held (id, "
                   "message_id, routing_key, "
                   "headers, payload, created_at, state, next_attempt_at) select id, message_id, "
                   "routing_key, headers, payload, created_at, "
                   "'retrying', now() from moved");
    (void)source_fixture_read_all(source, FETCH_HEADS, 8, withheld, 4, "headers");
}

#define SHORTEN "bytes: shorten it in outbox_held and retry it, or discard it"

Test(source_postgres_hostile, texts_that_are_too_long)
{
    pg_exec(
        admin,
        "insert into outbox (exchange, routing_key, key, type, content_type, payload) values "
        "('', '', '', '', '', '1'), (repeat('e', 256), '', '', '', '', '2'), ('', repeat('r', "
        "256), '', '', '', '3'), "
        "('', '', repeat('k', 20 << 20), '', '', '4'), ('', '', '', repeat('t', 256), '', '5'), "
        "('', '', '', '', repeat('c', 256), '6'), (repeat('e', 255), repeat('r', 255), repeat('k', "
        "65536), "
        "repeat('t', 255), repeat('c', 255), repeat('p', 9000)::bytea)");
    pg_exec(
        admin,
        "update outbox set payload = convert_to(repeat('p', 9000), 'UTF8')"); /* so that bytes are counted */
    const int64_t withheld[] = {2, 3, 4, 5, 6};
    (void)source_fixture_read_all(source, FETCH_NEXT, 7, withheld, 5, SHORTEN);
    pg_exec(admin, "insert into outbox_held (id, message_id, exchange, routing_key, key, type, "
                   "content_type, payload, created_at, state, next_attempt_at) select id, "
                   "message_id, exchange, routing_key, key, type, content_type, payload, "
                   "created_at, 'retrying', now() from outbox");
    (void)source_fixture_read_all(source, FETCH_HEADS, 7, withheld, 5, SHORTEN);
}

/* With read committed the source waits for the other transaction, and deletes what that has left; serializable or
 * lock_timeout would make it fail. */
Test(source_postgres_hostile, settings_that_the_role_inherits)
{
    const int64_t one = 1;
    pg_exec(
        admin,
        "do $$ declare setting text; begin foreach setting in array array["
        "'default_transaction_isolation = serializable', 'default_transaction_deferrable = on', "
        "'lock_timeout = 1', 'idle_in_transaction_session_timeout = 1', 'idle_session_timeout = "
        "4000', 'statement_timeout = 4000', 'synchronous_commit = remote_apply', 'row_security = "
        "on', 'session_replication_role = replica', 'bytea_output = escape', 'datestyle = "
        "\"SQL, DMY\"', 'intervalstyle = sql_standard', 'extra_float_digits = -15', "
        "'standard_conforming_strings = off', 'client_encoding = latin1', 'array_nulls = off', "
        "'xmloption = document', 'exit_on_error = on', 'quote_all_identifiers = on'] || case when "
        "current_setting('server_version_num')::int >= 170000 then '{transaction_timeout = "
        "4000}'::text[] end loop execute format('alter database %I set %s', current_database(), "
        "setting); end loop; end $$");
    pg_exec(admin, "insert into outbox (payload) values ('x')");
    source_fixture_close(source, &config);
    config = source_fixture_config(pg_fixture_dsn(), 30 * CLOCK_S_US);
    source = source_fixture_own(&config);
    const int pid = (int)pg_query_int(
        admin, "select pid from pg_stat_activity where application_name = 'outbox-relay orders' "
               "and datname = current_database()");
    pg_exec(admin, "begin; update outbox set type = 't'");
    source->ops->settle(source, &one, 1, clock_monotonic_us());
    pg_wait_blocked(admin, pid);
    pg_exec(admin, "select pg_sleep(4.5); commit"); /* longer than all the timeouts */
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 0);
}

/* ---- moving and deleting ---------------------------------------------------------------------------------- */

static void
insert_rows(int count)
{
    char sql[200];
    (void)snprintf(
        sql, sizeof(sql),
        "insert into outbox (key, payload) select 'k' || n, 'x' from generate_series(1, %d) n",
        count); /* fits */
    pg_exec(admin, sql);
}

#define MANY 200

/* Without an error; a row that others have deleted is no failure. */
Test(source_postgres_hostile, a_row_that_is_still_there)
{
    const int64_t failed[] = {7, 130};
    insert_rows(MANY);
    pg_exec(
        admin,
        "create function keep() returns trigger language plpgsql as $$ begin return null; end $$; "
        "create trigger keep before delete on outbox for each row when (old.id in (7, 130)) "
        "execute function keep(); "
        "delete from outbox where id = 9");
    source_fixture_expect_failures(source_fixture_settle(source, MANY), failed, 2, "still there");
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 2);
}

/* An error that all rows would have is not blamed on them. */
Test(source_postgres_hostile, a_statement_that_is_refused_is_no_rows_fault)
{
    static const int64_t ids[] = {1, 2, 3};
    insert_rows(3);
    pg_exec(admin,
            "create function f() returns trigger language plpgsql as $$ begin raise exception "
            "'none may'; end $$; "
            "create trigger f before delete on outbox for each statement execute function f()");
    source->ops->settle(source, ids, 3, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_not_null(strstr(lost.text, "none may"), "%s", lost.text);
}

/* ---- another table -------------------------------------------------------------------------------------- */

/* The lock is on a table that is no longer the outbox. */
Test(source_postgres_hostile, a_table_that_is_the_outbox_no_more_is_let_go_of)
{
    const char *const locked =
        "select count(*) from pg_locks where locktype = 'advisory' and classid = 1869968482 and "
        "objid = 'outbox'::regclass and database = (select oid from pg_database where datname = "
        "current_database())";
    cr_assert_eq(pg_query_int(admin, locked), 1);
    pg_exec(admin, "begin; alter table outbox rename to outbox_old; create table outbox (like "
                   "outbox_old including all); commit");
    source->ops->wake(source, 10, clock_monotonic_us());
    const struct error lost = source_fixture_expect(source, SOURCE_LOST).lost;
    cr_assert_not_null(strstr(lost.text, "another one"), "%s", lost.text);
    (void)source_fixture_await_owned(source);
    cr_assert_eq(pg_query_int(admin, locked), 1);
}
