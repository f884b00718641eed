/* The part of inbox_fixture.h for MariaDB, MySQL and libinbox-mysql. */
#include <inbox/inbox_mysql.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/integration/inbox_fixture_private.h"
#include "tests/integration/mysql_fixture.h"

static inbox_mysql *inbox;

/* In the session of an administrator, as in db_load_outbox. */
static void
load(void *conn)
{
    struct inbox_error error;
    MYSQL *plain = mysql_fixture_connect();
    mysql_fixture_load(plain, "consumers/mysql/schema.sql");
    mysql_fixture_load(plain, "consumers/mysql/schema_newest.sql");
    mysql_close(plain);
    if (inbox_mysql_new(conn, &inbox, &error) != INBOX_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        abort();
    }
}

static void
unload(void)
{
    inbox_mysql_free(inbox);
    inbox = NULL;
}

static inbox_result
claim_many(void *tx, const char *consumer, const struct inbox_id *ids, size_t id_count,
           inbox_verdict *ret_verdicts, struct inbox_error *reterr)
{
    return inbox_mysql_claim_many(inbox, tx, consumer, ids, id_count, ret_verdicts, reterr);
}

static inbox_result
claim(void *tx, const char *consumer, const void *message_id, size_t message_id_length,
      inbox_verdict *ret_verdict, struct inbox_error *reterr)
{
    return inbox_mysql_claim(inbox, tx, consumer, message_id, message_id_length, ret_verdict,
                             reterr);
}

static inbox_result
advance(void *tx, const char *consumer, const void *key, size_t key_length, int64_t version,
        inbox_verdict *ret_verdict, struct inbox_error *reterr)
{
    return inbox_mysql_advance(inbox, tx, consumer, key, key_length, version, ret_verdict, reterr);
}

static inbox_result
forget(void *conn, uint64_t age_s, uint32_t limit, uint64_t *ret_forgotten,
       struct inbox_error *reterr)
{
    return inbox_mysql_forget(inbox, conn, age_s, limit, ret_forgotten, reterr);
}

static void
end_thread(void)
{
    mysql_thread_end();
}

static inbox_result
look(void *conn, struct inbox_error *reterr)
{
    inbox_mysql *another = NULL;
    const inbox_result result = inbox_mysql_new(conn, &another, reterr);
    inbox_mysql_free(another);
    return result;
}

/* True if the row was inserted. False if it exists already, or if the error is another one. */
static bool
inserts(MYSQL *tx, const char *sql)
{
    const unsigned number = mysql_fixture_try(tx, sql);
    if (number != 0 && number != 1062) {
        (void)fprintf(stderr, "%s: %s\n", sql, mysql_error(tx));
        abort();
    }
    return number == 0;
}

static bool
claim_by_hand(void *tx, const char *consumer, const char *message_id)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "insert into inbox (consumer, message_id) values ('%s', '%s')",
                   consumer, message_id);
    return inserts(tx, sql);
}

static bool
advance_by_hand(void *tx, const char *consumer, const char *key, int version)
{
    char update[256];
    char insert[256];
    (void)snprintf(update, sizeof(update),
                   "update inbox_newest set version = %d, advanced_at = utc_timestamp(6) where "
                   "consumer = '%s' and message_key = '%s' and version < %d",
                   version, consumer, key, version);
    (void)snprintf(insert, sizeof(insert),
                   "insert into inbox_newest (consumer, message_key, version) values ('%s', "
                   "'%s', %d)",
                   consumer, key, version);
    mysql_fixture_exec(tx, update);
    if (mysql_affected_rows(tx) == 1 || inserts(tx, insert)) {
        return true;
    }
    mysql_fixture_exec(tx, update);
    return mysql_affected_rows(tx) == 1;
}

const struct inbox_fixture_kind inbox_fixture_mysql = {
    .load = load,
    .unload = unload,
    .claim_many = claim_many,
    .claim = claim,
    .advance = advance,
    .forget = forget,
    .end_thread = end_thread,
    .look = look,
    .claim_by_hand = claim_by_hand,
    .advance_by_hand = advance_by_hand,
    .sql =
        {
            [INBOX_SQL_PARTITIONS_BY_LIST] =
                "alter table inbox partition by list columns (consumer) (partition one values in "
                "('billing'), partition rest values in ('mail'))",
            [INBOX_SQL_PARTITIONS_BY_HASH] =
                "alter table inbox partition by key (message_id) partitions 3",
            [INBOX_SQL_PARTITIONS_BY_TIME] =
                "alter table inbox drop primary key, add primary key (consumer, message_id, "
                "seen_at); alter table inbox partition by range columns (seen_at) (partition "
                "all_of_it values less than (maxvalue))",
            [INBOX_SQL_WITHOUT_KEY] = "alter table inbox drop primary key",
            [INBOX_SQL_NEWEST_WITHOUT_KEY] = "alter table inbox_newest drop primary key",
        },
    .words =
        {
            [INBOX_WORDS_LOCKED] = {"HY000", "this statement only"},
            [INBOX_WORDS_DEADLOCK] = {"40001", "rolled back the whole transaction"},
            [INBOX_WORDS_ANOTHER_INDEX] = {"23000", "somebodys"},
            [INBOX_WORDS_DENIED] = {"42000", "DELETE"},
            [INBOX_WORDS_READ_ONLY] = {"25006", "READ ONLY"},
            [INBOX_WORDS_LOST] = {"", "rolls the transaction back"},
            [INBOX_WORDS_NO_INBOX_TABLE] = {"42S02", "schema.sql"},
            [INBOX_WORDS_WITHOUT_KEY] = {"", "primary key of inbox is ()"},
            [INBOX_WORDS_PARTITIONS_BY_TIME] = {"", "not by time"},
            [INBOX_WORDS_NEWEST_WITHOUT_KEY] = {"", "primary key of inbox_newest is ()"},
        },
    .sees_all = true,
};
