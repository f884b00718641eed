#include <inttypes.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumers/inbox_mysql_private.h"
#include "consumers/inbox_private.h"
#include "consumers/mysql/advance_first_sql.h"
#include "consumers/mysql/advance_sql.h"
#include "consumers/mysql/newest_sql.h"
#include "consumers/mysql_query.h"
#include "consumers/mysql_statement.h"

/* The second try locks the row that made the first one fail, so a third is needed only if inbox_newest is not a plain table. */
#define TRIES_MAX 4

/* An advance under way. */
struct advance {
    MYSQL *tx;
    struct mysql_value values[3]; /* consumer, key, version */
    int64_t version;
};

/* Room for each of the three statements: none has the consumer or the key twice. */
#define TEXT_MAX                                                            \
    (sizeof(sql_advance) + sizeof(sql_advance_first) + sizeof(sql_newest) + \
     2 * (INBOX_NAME_MAX_BYTES + INBOX_KEY_MAX_BYTES) + 64)

static inbox_result
run(const struct advance *advance, const char *sql, MYSQL_RES **ret_rows,
    struct inbox_error *reterr)
{
    char text[TEXT_MAX];
    const char *end = mysql_statement_put(text, sql, strlen(sql), advance->values, 3);
    return mysql_query_run(advance->tx, text, (size_t)(end - text), ret_rows, reterr);
}

/* Writes the row if the version is newer than the one in it, or if it is the first of its key. *ret_there: it failed
 * because there is a row that this version does not replace. */
static inbox_result
write_row(const struct advance *advance, bool *ret_there, struct inbox_error *reterr)
{
    MYSQL_RES *rows = NULL;
    *ret_there = false;
    inbox_result code = run(advance, sql_advance, &rows, reterr);
    if (code == INBOX_OK && mysql_affected_rows(advance->tx) == 0) {
        code = run(advance, sql_advance_first, &rows, reterr);
        *ret_there = code != INBOX_OK && mysql_errno(advance->tx) == ER_DUP_ENTRY;
    }
    return code;
}

/* Reads the version in the row; *ret_found: whether there is a row. */
static inbox_result
read_row(const struct advance *advance, bool *ret_found, int64_t *ret_newest,
         struct inbox_error *reterr)
{
    MYSQL_RES *rows = NULL;
    const inbox_result code = run(advance, sql_newest, &rows, reterr);
    MYSQL_ROW row = rows == NULL ? NULL : mysql_fetch_row(rows);
    *ret_found = row != NULL;
    *ret_newest = row != NULL ? strtoll(row[0], NULL, 10) : 0;
    mysql_free_result(rows);
    return code;
}

/* One try. *ret_again: between update and insert another transaction has inserted an older version. `failure` may be filled
 * although there is no failure in the end. */
static inbox_result
try_to_advance(const struct advance *advance, inbox_verdict *ret_verdict, bool *ret_again,
               struct inbox_error *failure)
{
    bool there = false;
    bool found = false;
    int64_t newest = 0;
    *ret_again = false;
    *ret_verdict = INBOX_FIRST;
    const inbox_result written = write_row(advance, &there, failure);
    if (!there) {
        return written;
    }
    const inbox_result code = read_row(advance, &found, &newest, failure);
    if (code != INBOX_OK || !found) { /* not found: a unique index that is not the table's key */
        return code != INBOX_OK ? code : written;
    }
    *ret_verdict = newest == advance->version ? INBOX_DUPLICATE : INBOX_OUTDATED;
    *ret_again = newest < advance->version;
    return INBOX_OK;
}

static inbox_result
advance_row(const struct advance *advance, inbox_verdict *ret_verdict, struct inbox_error *failure)
{
    bool again = true;
    inbox_result code = INBOX_OK;
    for (int tries = 0; code == INBOX_OK && again; tries++) {
        if (tries == TRIES_MAX) {
            return inbox_fail(failure, INBOX_RETRY,
                              "others were faster %d times, or a trigger on inbox_newest keeps the "
                              "version from changing: roll back, then run all of it again",
                              TRIES_MAX);
        }
        code = try_to_advance(advance, ret_verdict, &again, failure);
    }
    return code;
}

static inbox_result
check_advance(const inbox_mysql *inbox, MYSQL *tx, const char *consumer, const void *key,
              size_t key_length, struct inbox_error *reterr)
{
    inbox_result code = inbox_mysql_look_in_transaction(inbox, tx, reterr);
    if (code == INBOX_OK) {
        code = inbox_check_consumer(consumer, reterr);
    }
    if (code == INBOX_OK) {
        code = inbox_check_key(key, key_length, reterr);
    }
    if (code == INBOX_OK && !inbox->has_newest) {
        code = inbox_fail(reterr, INBOX_SCHEMA,
                          "there was no table inbox_newest when the inbox was made: load "
                          "consumers/mysql/schema_newest.sql, then make it anew");
    }
    return code;
}

inbox_result
inbox_mysql_advance(const inbox_mysql *inbox, MYSQL *tx, const char *consumer, const void *key,
                    size_t key_length, int64_t version, inbox_verdict *ret_verdict,
                    struct inbox_error *reterr)
{
    inbox_result code = check_advance(inbox, tx, consumer, key, key_length, reterr);
    if (code != INBOX_OK) {
        return code;
    }
    if (ret_verdict == NULL) {
        return inbox_fail(reterr, INBOX_INVALID, "there is no place for the verdict: it is NULL");
    }
    char digits[24];
    const int digit_count = snprintf(digits, sizeof(digits), "%" PRId64, version);
    const struct advance advance = {
        .tx = tx,
        .values = {{"@consumer", consumer, strlen(consumer), false},
                   {"@message_key", key, key_length, false},
                   {"@version", digits, (size_t)digit_count, true}},
        .version = version,
    };
    inbox_verdict verdict = 0;
    struct inbox_error failure;
    code = advance_row(&advance, &verdict, &failure);
    if (code == INBOX_OK) {
        *ret_verdict = verdict;
    } else if (reterr != NULL) {
        *reterr = failure;
    }
    return code;
}
