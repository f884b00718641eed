/* Rows that cannot be read, moved or deleted: each is its own message's trouble, and nobody else's. */
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

/* As in a table that was made before there were limits in it, or whose limits somebody has dropped. */
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

/* The source works the outbox of a database in this encoding instead. */
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

/* Reads all there is in batches; what is withheld must say why in these words. How many batches it took. */
static size_t
read_all(enum fetch_kind kind, int64_t rows, const int64_t *withheld, size_t withheld_count,
         const char *why)
{
    struct fetch fetch = {
        .kind = kind, .after_id = INT64_MIN, .rows_max = 1000, .bytes_max = 4 << 20};
    size_t found = 0;
    size_t batches = 0;
    for (bool complete = false; !complete; batches++) {
        struct batch *batch = source_fixture_fetch(source, fetch);
        for (size_t i = 0; i < batch->count; i++, rows--) {
            const struct row *row = &batch->rows[i];
            const bool meant = found < withheld_count && withheld[found] == row->id;
            cr_assert_eq(row->withheld != NULL, meant, "%lld: %s", (long long)row->id,
                         row->withheld);
            if (meant) {
                cr_assert_not_null(strstr(row->withheld, why), "%s", row->withheld);
                cr_assert_eq(row->key.size + row->headers.size + row->payload.size, 0);
                found++;
            }
            fetch.after_id = row->id;
        }
        complete = batch->complete;
        batch_free(batch);
    }
    cr_assert_eq(rows, 0);
    cr_assert_eq(found, withheld_count);
    return batches;
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
    const size_t batches = read_all(FETCH_NEXT, 2500, withheld, 4, "22021");
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
    (void)read_all(FETCH_NEXT, 20, withheld, 1, "22P05");
}

/* Held, it is found out once, and not again at each try; the others beside it are read. */
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
    const int64_t errors = pg_query_int(
        other, "select xact_rollback from pg_stat_database where datname = current_database()");
    (void)errors;
    fetch.id_count = 0;
    struct batch *batch = source_fixture_fetch(source, fetch);
    cr_assert(batch->count == 10 && strstr(batch->rows[2].withheld, "22021") != NULL);
    batch_free(batch);
}

/* On the disk they are small. */
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
    (void)read_all(FETCH_NEXT, 8, withheld, 4, "headers");
    pg_exec(admin, "with moved as (delete from outbox returning *) insert into outbox_held (id, "
                   "message_id, routing_key, "
                   "headers, payload, created_at, state, next_attempt_at) select id, message_id, "
                   "routing_key, headers, payload, created_at, "
                   "'retrying', now() from moved");
    (void)read_all(FETCH_HEADS, 8, withheld, 4, "headers");
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
    (void)read_all(FETCH_NEXT, 7, withheld, 5, SHORTEN);
    pg_exec(admin, "insert into outbox_held (id, message_id, exchange, routing_key, key, type, "
                   "content_type, payload, created_at, state, next_attempt_at) select id, "
                   "message_id, exchange, routing_key, key, type, content_type, payload, "
                   "created_at, 'retrying', now() from outbox");
    (void)read_all(FETCH_HEADS, 7, withheld, 5, SHORTEN);
}

Test(source_postgres_hostile, a_null_that_must_not_be)
{
    pg_exec(admin,
            "alter table outbox alter payload drop not null, alter message_id drop not null, "
            "alter created_at drop not null, alter routing_key drop not null");
    pg_exec(admin, "insert into outbox (payload) values ('1'), (null), ('3'), ('4'), ('5'); "
                   "update outbox set message_id = null where id = 3; update outbox set created_at "
                   "= null where id = 4; "
                   "update outbox set routing_key = null where id = 5");
    const int64_t withheld[] = {2, 3, 4};
    (void)read_all(FETCH_NEXT, 5, withheld, 3, "NULL");
}

/* Read committed waits for the other one, and deletes what he has left; serializable and lock_timeout would be errors. */
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
    pg_exec(admin, "select pg_sleep(4.5); commit"); /* longer than each of the timeouts */
    (void)source_fixture_expect(source, SOURCE_SETTLED);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 0);
}

/* ---- moving and deleting ---------------------------------------------------------------------------------- */

/* `when` is about "row": the new one of an insert or update, the old one of a delete. */
static void
forbid(const char *table, const char *what, const char *when)
{
    char sql[1000];
    (void)snprintf(
        sql, sizeof(sql),
        "create function forbid_%s_%s() returns trigger language plpgsql as $$ declare row record; "
        "begin "
        "if tg_op = 'DELETE' then row := old; else row := new; end if; "
        "if %s then raise exception 'forbidden'; end if; return row; end $$; "
        "create trigger forbid before %s on %s for each row execute function forbid_%s_%s()",
        table, what, when, what, table, table, what); /* fits */
    pg_exec(admin, sql);
}

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

Test(source_postgres_hostile, a_row_that_must_not_be_deleted)
{
    const int64_t failed[] = {7, 130};
    insert_rows(MANY);
    pg_exec(admin,
            "create table mine (id bigint references outbox); insert into mine values (7), (130)");
    expect_failures(settle_all(), failed, 2, "23503");
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 2);
    pg_exec(admin, "truncate mine");
    expect_failures(settle_all(), NULL, 0, "");
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 0);
}

/* Without an error; what another has deleted is no failure. */
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
    expect_failures(settle_all(), failed, 2, "still there");
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 2);
}

/* What nothing can be done about is not blamed on rows. */
Test(source_postgres_hostile, a_privilege_that_is_gone_is_no_rows_fault)
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

Test(source_postgres_hostile, a_row_that_cannot_be_set_aside)
{
    static struct hold holds[MANY];
    const int64_t failed[] = {3, 77};
    insert_rows(MANY);
    pg_exec(admin, "alter table outbox_held add constraint mine check (key not in ('k3', 'k77'))");
    for (int i = 0; i < MANY; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_RETRYING, .reason = "r"};
    }
    expect_failures(source_fixture_hold(source, holds, MANY).failures, failed, 2, "23514");
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 2);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held"), MANY - 2);
}

/* Those before it go back; it is named, to be sent from where it is. */
Test(source_postgres_hostile, a_row_that_cannot_go_back)
{
    struct hold holds[20];
    insert_rows(20);
    pg_exec(admin, "update outbox set key = 'k'");
    for (int i = 0; i < 20; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = i == 0 ? HELD_RETRYING : HELD_WAITING};
    }
    expect_failures(source_fixture_hold(source, holds, 20).failures, NULL, 0, "");
    forbid("outbox", "insert", "row.id = 9");
    const int64_t head = 1;
    const int64_t key = pg_query_int(admin, "select hashtextextended('k', 0)");
    const struct release release = {
        .ids = &head, .id_count = 1, .keys = &key, .key_count = 1, .rows_max = 100};
    const struct source_released event = source_fixture_release(source, release);
    cr_assert_not(event.complete);
    cr_assert(event.count == 7 && event.first_id == 2 && event.last_id == 8);
    cr_assert(event.failures.count == 1 && event.failures.items[0].id == 9 &&
              event.failures.items[0].key_hash == key);
    free(event.failures.items);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held"), 12);
}

Test(source_postgres_hostile, a_held_row_that_must_not_be_deleted)
{
    struct hold holds[3];
    const int64_t ids[] = {1, 2, 3};
    insert_rows(3);
    for (int i = 0; i < 3; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_RETRYING};
    }
    expect_failures(source_fixture_hold(source, holds, 3).failures, NULL, 0, "");
    pg_exec(admin,
            "create table mine (id bigint references outbox_held); insert into mine values (2)");
    const struct release release = {.ids = ids, .id_count = 3, .rows_max = 100};
    cr_assert(source_fixture_release(source, release).complete);
    cr_assert_str_eq(pg_query_text(admin, "select id || state || skipped from outbox_held"),
                     "2deadtrue");
}

/* Without a key it is sent from where it is; with one it is set aside, and the others wake. */
Test(source_postgres_hostile, a_row_that_cannot_be_woken)
{
    struct hold holds[10];
    pg_exec(admin,
            "insert into outbox (key, payload, created_at, deliver_after) select case when n <> 4 "
            "then 'k' || n end, 'x', "
            "now() - interval '1 h', now() - interval '1 min' from generate_series(1, 10) n");
    for (int i = 0; i < 10; i++) {
        holds[i] = (struct hold){.id = i + 1, .state = HELD_SCHEDULED};
    }
    expect_failures(source_fixture_hold(source, holds, 10).failures, NULL, 0, "");
    forbid("outbox", "insert", "row.key is null or row.key = 'k7'");
    bool acts = false;
    struct source_woken woken;
    do {
        woken = source_fixture_wake(source, 100);
        acts |= woken.acts;
    } while (woken.next_in_us == 0);
    cr_assert(acts);
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 8);
    cr_assert_str_eq(
        pg_query_text(admin, "select string_agg(id || state, ' ' order by id) from outbox_held"),
        "4retrying 7dead");
}

/* ---- held before there were limits --- */

/* Of these keys, each in a state of its own, and of one that may go back. */
static void
hold_larger(const char *state)
{
    char sql[600];
    pg_fixture_load(admin, "outbox-sql/postgres/schema_writing.sql");
    (void)snprintf(sql, sizeof(sql),
                   "insert into outbox_held (id, message_id, routing_key, key, payload, "
                   "created_at, state, next_attempt_at) select n, gen_random_uuid(), case n when 3 "
                   "then repeat('r', 300) else '' end, case when n = 2 then repeat('k', 2000) when "
                   "n < 5 then 'k' || n end, 'x', now(), '%s', now() from generate_series(1, %d) n",
                   state, strcmp(state, "waiting") == 0 ? 4 : 5); /* fits */
    pg_exec(admin, sql);
}

#define LARGER(limit)                                                                             \
    "it is larger than the outbox takes (" limit "): shorten it in outbox_held and retry it, or " \
    "discard it"

/* It is sent from where it is, unless it is too long for that, too. */
Test(source_postgres_hostile, one_that_waits_is_larger_than_the_outbox_takes)
{
    static const char *const limits[] = {NULL, LARGER("outbox_key_1024_bytes"),
                                         LARGER("outbox_routing_key_255_bytes"), NULL};
    hold_larger("waiting");
    for (int64_t id = 1; id <= 4; id++) {
        char sql[100];
        (void)snprintf(sql, sizeof(sql),
                       "select hashtextextended(key, 0) from outbox_held where id = %d",
                       (int)id); /* fits */
        const int64_t key = pg_query_int(admin, sql);
        const struct release release = {.keys = &key, .key_count = 1, .rows_max = 100};
        const char *const words = limits[id - 1];
        expect_failures(source_fixture_release(source, release).failures, &id,
                        words != NULL ? 1 : 0, words != NULL ? words : "");
    }
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox_held"), 2);
    pg_exec(admin, "update outbox_held set state = 'retrying', next_attempt_at = now()");
    const int64_t withheld[] = {3};
    (void)read_all(FETCH_HEADS, 2, withheld, 1, SHORTEN);
}

Test(source_postgres_hostile, one_whose_time_comes_is_larger_than_the_outbox_takes)
{
    hold_larger("scheduled");
    pg_exec(admin, "update outbox_held set type = repeat('t', 300) where id = 5");
    while (source_fixture_wake(source, 100).next_in_us == 0) {
    }
    cr_assert_eq(pg_query_int(admin, "select count(*) from outbox"), 2);
    cr_assert_str_eq(
        pg_query_text(admin, "select string_agg(concat_ws(' ', id, state, skipped, last_error), "
                             "E'\n' order by id) from outbox_held"),
        "2 dead t its time has come, and it cannot go to the outbox: " LARGER(
            "outbox_key_1024_bytes") "\n"
                                     "3 dead t its time has come, and it cannot go to the "
                                     "outbox: " LARGER(
                                         "outbox_routing_key_255_bytes") "\n"
                                                                         "5 retrying f its time "
                                                                         "has come, and it cannot "
                                                                         "go to the "
                                                                         "outbox: " LARGER(
                                                                             "outbox_type_255_"
                                                                             "bytes"));
}

/* ---- another table -------------------------------------------------------------------------------------- */

/* The lock is on a table that is not the outbox any more. */
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
