/* The part of inbox_fixture.h for PostgreSQL and libinbox-pg. */
#include <inbox/inbox_pg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/inbox_fixture_private.h"
#include "tests/integration/pg_fixture.h"

static void
load(void *conn)
{
    pg_fixture_load(conn, "consumers/postgres/schema.sql");
    pg_fixture_load(conn, "consumers/postgres/schema_newest.sql");
}

static void
nothing(void)
{
}

static inbox_result
claim_many(void *tx, const char *consumer, const struct inbox_id *ids, size_t id_count,
           inbox_verdict *ret_verdicts, struct inbox_error *reterr)
{
    return inbox_pg_claim_many(tx, consumer, ids, id_count, ret_verdicts, reterr);
}

static inbox_result
claim(void *tx, const char *consumer, const void *message_id, size_t message_id_length,
      inbox_verdict *ret_verdict, struct inbox_error *reterr)
{
    return inbox_pg_claim(tx, consumer, message_id, message_id_length, ret_verdict, reterr);
}

static inbox_result
advance(void *tx, const char *consumer, const void *key, size_t key_length, int64_t version,
        inbox_verdict *ret_verdict, struct inbox_error *reterr)
{
    return inbox_pg_advance(tx, consumer, key, key_length, version, ret_verdict, reterr);
}

static inbox_result
forget(void *conn, uint64_t age_s, uint32_t limit, uint64_t *ret_forgotten,
       struct inbox_error *reterr)
{
    return inbox_pg_forget(conn, age_s, limit, ret_forgotten, reterr);
}

static inbox_result
look(void *conn, struct inbox_error *reterr)
{
    inbox_verdict verdict;
    pg_exec(conn, "begin");
    inbox_result result = inbox_pg_claim(conn, "looks", "m", 1, &verdict, reterr);
    if (result == INBOX_OK) {
        result = inbox_pg_advance(conn, "looks", "k", 1, 1, &verdict, reterr);
    }
    pg_exec(conn, "rollback");
    return result;
}

/* True if it changed one row. */
static bool
changes_one(PGconn *tx, const char *sql)
{
    PGresult *result = PQexec(tx, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        (void)fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(tx));
        abort();
    }
    const bool one = strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    return one;
}

static bool
claim_by_hand(void *tx, const char *consumer, const char *message_id)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "insert into inbox (consumer, message_id) values ('%s', '%s') "
                   "on conflict (consumer, message_id) do nothing",
                   consumer, message_id);
    return changes_one(tx, sql);
}

static bool
advance_by_hand(void *tx, const char *consumer, const char *key, int version)
{
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "insert into inbox_newest as newest (consumer, message_key, version) values "
                   "('%s', '%s', %d) on conflict (consumer, message_key) do update set "
                   "version = excluded.version, advanced_at = now() where newest.version < "
                   "excluded.version",
                   consumer, key, version);
    return changes_one(tx, sql);
}

#define PARTITIONED(key, how)                                                       \
    "drop table inbox; create table inbox (consumer text not null, message_id "     \
    "text not null, seen_at timestamptz not null default now(), primary key (" key  \
    ")) partition by " how "; create index on inbox (seen_at); create table inbox_" \
    "one partition of inbox "

const struct inbox_fixture_kind inbox_fixture_postgres = {
    .load = load,
    .unload = nothing,
    .claim_many = claim_many,
    .claim = claim,
    .advance = advance,
    .forget = forget,
    .end_thread = nothing,
    .look = look,
    .claim_by_hand = claim_by_hand,
    .advance_by_hand = advance_by_hand,
    .sql =
        {
            [INBOX_SQL_PARTITIONS_BY_LIST] =
                PARTITIONED("consumer, message_id",
                            "list (consumer)") "for values in ('billing'); "
                                               "create table inbox_rest partition of inbox default",
            [INBOX_SQL_PARTITIONS_BY_HASH] =
                PARTITIONED("message_id, consumer",
                            "hash (message_id)") "for values with (modulus "
                                                 "3, remainder 0); create table inbox_2 partition "
                                                 "of inbox for values with (modulus "
                                                 "3, remainder 1); create table inbox_3 partition "
                                                 "of inbox for values with (modulus "
                                                 "3, remainder 2)",
            [INBOX_SQL_PARTITIONS_BY_TIME] =
                PARTITIONED("consumer, message_id, seen_at", "range (seen_at)") "default",
            [INBOX_SQL_WITHOUT_KEY] = "alter table inbox drop constraint inbox_pkey",
            [INBOX_SQL_NEWEST_WITHOUT_KEY] =
                "alter table inbox_newest drop constraint inbox_newest_pkey",
        },
    .words =
        {
            [INBOX_WORDS_LOCKED] = {"55P03", "lock timeout"},
            [INBOX_WORDS_DEADLOCK] = {"40P01", "deadlock"},
            [INBOX_WORDS_ANOTHER_INDEX] = {"23505", "somebodys"},
            [INBOX_WORDS_DENIED] = {"42501", "permission denied"},
            [INBOX_WORDS_READ_ONLY] = {"25006", "read-only"},
            [INBOX_WORDS_LOST] = {"", "terminat"}, /* from the server's message, or libpq's */
            [INBOX_WORDS_NO_INBOX_TABLE] = {"42P01", "inbox"},
            [INBOX_WORDS_WITHOUT_KEY] = {"42P10",
                                         "no unique index on inbox (consumer, message_id)"},
            [INBOX_WORDS_PARTITIONS_BY_TIME] = {"42P10", "not by seen_at"},
            [INBOX_WORDS_NEWEST_WITHOUT_KEY] =
                {"42P10", "no unique index on inbox_newest (consumer, message_key)"},
        },
    .sees_all = false,
};
