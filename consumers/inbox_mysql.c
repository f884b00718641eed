#include <inbox/inbox_mysql.h>
#include <inttypes.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consumers/inbox_mysql_private.h"
#include "consumers/inbox_private.h"
#include "consumers/mysql/claim_sql.h"
#include "consumers/mysql/describe_sql.h"
#include "consumers/mysql/forget_sql.h"
#include "consumers/mysql/look_sql.h"
#include "consumers/mysql/present_sql.h"
#include "consumers/mysql_query.h"
#include "consumers/mysql_statement.h"

/* Rows in one statement. More would not make the insert faster (0.004 ms a row with 100 as with 1,000), and would make
 * the search for duplicates slower (0.010 ms a row with 100, 0.024 ms with 500). With the longest names the statement
 * has 230 KB, and servers accept at least a megabyte unless configured otherwise. */
#define CHUNK_MESSAGES 200

/* One message of a claim. */
struct entry {
    const struct inbox_id *id;
    inbox_verdict verdict; /* 0: not known yet */
};

/* A claim under way. */
struct claim {
    MYSQL *tx;
    const char *consumer;
    struct entry *entries; /* each id once, in the order of the ids' bytes */
    size_t entry_count;
    char *text; /* room for any statement of this claim */
};

/* The only row; NULL if there is none. */
static MYSQL_ROW
first_row(MYSQL_RES *rows)
{
    return rows == NULL ? NULL : mysql_fetch_row(rows);
}

static inbox_result
check_version(const char *version, struct inbox_error *reterr)
{
    if (strtol(version, NULL, 10) != INBOX_SCHEMA_VERSION) {
        return inbox_fail(reterr, INBOX_SCHEMA,
                          "the inbox tables have version %s, this library uses version %d", version,
                          INBOX_SCHEMA_VERSION);
    }
    return INBOX_OK;
}

static inbox_result
check_look(const inbox_mysql *inbox, MYSQL_RES *rows, struct inbox_error *reterr)
{
    MYSQL_ROW row = first_row(rows);
    if (row == NULL) {
        return inbox_fail(reterr, INBOX_SCHEMA, "table inbox_schema is empty");
    }
    if (row[1] == NULL || strcmp(row[1], inbox->database) != 0) {
        return inbox_fail(reterr, INBOX_SCHEMA,
                          "the default database of the connection is %.64s, the inbox was made for "
                          "that in %.64s",
                          row[1] == NULL ? "none" : row[1], inbox->database);
    }
    return check_version(row[0], reterr);
}

/* Checks that the tables are still the same, and asks the server whether a transaction is open. */
static inbox_result
look(const inbox_mysql *inbox, MYSQL *conn, bool *ret_in_transaction, struct inbox_error *reterr)
{
    if (inbox == NULL) {
        return inbox_fail(reterr, INBOX_INVALID, "inbox is NULL");
    }
    MYSQL_RES *rows = NULL;
    inbox_result code = mysql_query_run(conn, sql_look, strlen(sql_look), &rows, reterr);
    if (code == INBOX_OK) {
        code = check_look(inbox, rows, reterr);
        *ret_in_transaction = (conn->server_status & SERVER_STATUS_IN_TRANS) != 0;
    }
    mysql_free_result(rows);
    return code;
}

inbox_result
inbox_mysql_look_in_transaction(const inbox_mysql *inbox, MYSQL *tx, struct inbox_error *reterr)
{
    bool in_transaction = false;
    const inbox_result code = look(inbox, tx, &in_transaction, reterr);
    if (code == INBOX_OK && !in_transaction) {
        return inbox_fail(reterr, INBOX_NO_TRANSACTION,
                          "no transaction is open: the claim would not be part of one. (An error "
                          "such as a deadlock ends one, too)");
    }
    return code;
}

/* A table with a key that accepts each name once for each consumer. */
struct guard {
    const char *table;
    const char *named;
    const char *max_bytes; /* how long a name may be */
    const char *key;
    const char *schema; /* the file that creates it */
};

static const struct guard inbox_guard = {"inbox", "message_id", "255", "consumer, message_id",
                                         "schema.sql"};
static const struct guard newest_guard = {"inbox_newest", "message_key", "1024",
                                          "consumer, message_key", "schema_newest.sql"};

/* Checks a row of describe.sql: database, engine, key, whether its columns are as required. */
static inbox_result
check_description(const struct guard *guard, MYSQL_ROW row, struct inbox_error *reterr)
{
    const char *engine = row[1];
    const char *key = row[2] == NULL ? "" : row[2];
    if (engine == NULL) {
        return inbox_fail(reterr, INBOX_SCHEMA,
                          "there is no table %s in database %.64s that this user may read: load "
                          "consumers/mysql/%s there",
                          guard->table, row[0], guard->schema);
    }
    if (strcmp(engine, "InnoDB") != 0) {
        return inbox_fail(reterr, INBOX_SCHEMA,
                          "table %s is of engine %.64s, which has no transactions, so a row would "
                          "outlive an effect that is rolled back: alter table %s engine = InnoDB",
                          guard->table, engine, guard->table);
    }
    if (strcmp(key, guard->key) != 0) {
        return inbox_fail(reterr, INBOX_SCHEMA,
                          "the primary key of %s is (%.100s), which would let the same %s in "
                          "twice: make it (%s), without other columns; partitions can be by list, "
                          "hash or key of these two, not by time",
                          guard->table, key, guard->named, guard->key);
    }
    if (strcmp(row[3], "1") != 0) {
        return inbox_fail(reterr, INBOX_SCHEMA,
                          "of %s, consumer must be varbinary(255) and %s varbinary(%s): other "
                          "types take different names for one, or cut them",
                          guard->table, guard->named, guard->max_bytes);
    }
    return INBOX_OK;
}

static struct mysql_value
value_of(const char *name, const char *text, bool is_number)
{
    return (struct mysql_value){name, text, strlen(text), is_number};
}

static inbox_result
ask_description(MYSQL *conn, const struct guard *guard, MYSQL_RES **ret_rows,
                struct inbox_error *reterr)
{
    char text[sizeof(sql_describe) + 512];
    const struct mysql_value values[] = {value_of("@table", guard->table, false),
                                         value_of("@named", guard->named, false),
                                         value_of("@max_bytes", guard->max_bytes, true)};
    const char *end = mysql_statement_put(text, sql_describe, strlen(sql_describe), values, 3);
    return mysql_query_run(conn, text, (size_t)(end - text), ret_rows, reterr);
}

/* *ret_database: free it. */
static inbox_result
describe_inbox(MYSQL *conn, char **ret_database, struct inbox_error *reterr)
{
    MYSQL_RES *rows = NULL;
    inbox_result code = ask_description(conn, &inbox_guard, &rows, reterr);
    MYSQL_ROW row = first_row(rows);
    if (code == INBOX_OK && (row == NULL || row[0] == NULL)) {
        code = inbox_fail(reterr, INBOX_SCHEMA,
                          "the connection has no default database: choose the one that has the "
                          "inbox");
    } else if (code == INBOX_OK) {
        code = check_description(&inbox_guard, row, reterr);
    }
    if (code == INBOX_OK && (*ret_database = strdup(row[0])) == NULL) {
        code = inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for an inbox");
    }
    mysql_free_result(rows);
    return code;
}

/* The table need not exist. */
static inbox_result
describe_newest(MYSQL *conn, bool *ret_there, struct inbox_error *reterr)
{
    MYSQL_RES *rows = NULL;
    inbox_result code = ask_description(conn, &newest_guard, &rows, reterr);
    MYSQL_ROW row = first_row(rows);
    const bool there = row != NULL && row[1] != NULL;
    if (there) {
        code = check_description(&newest_guard, row, reterr);
    }
    *ret_there = there;
    mysql_free_result(rows);
    return code;
}

inbox_result
inbox_mysql_new(MYSQL *conn, inbox_mysql **ret_inbox, struct inbox_error *reterr)
{
    if (ret_inbox == NULL) {
        return inbox_fail(reterr, INBOX_INVALID, "there is no place for the inbox: it is NULL");
    }
    inbox_mysql *inbox = calloc(1, sizeof(*inbox));
    if (inbox == NULL) {
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for an inbox");
    }
    bool in_transaction = false;
    inbox_result code = describe_inbox(conn, &inbox->database, reterr);
    if (code == INBOX_OK) {
        code = describe_newest(conn, &inbox->has_newest, reterr);
    }
    if (code == INBOX_OK) {
        code = look(inbox, conn, &in_transaction, reterr);
    }
    if (code != INBOX_OK) {
        inbox_mysql_free(inbox);
        return code;
    }
    *ret_inbox = inbox;
    return INBOX_OK;
}

void
inbox_mysql_free(inbox_mysql *inbox)
{
    if (inbox != NULL) {
        free(inbox->database);
        free(inbox);
    }
}

static int
compare_ids(const struct inbox_id *a, const struct inbox_id *b)
{
    const size_t shorter = a->length < b->length ? a->length : b->length;
    const int order = memcmp(a->bytes, b->bytes, shorter);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* Equal ids keep the order in which the caller gave them. */
static int
compare_entries(const void *a, const void *b)
{
    const struct inbox_id *left = ((const struct entry *)a)->id;
    const struct inbox_id *right = ((const struct entry *)b)->id;
    const int order = compare_ids(left, right);
    return order != 0 ? order : (left > right) - (left < right);
}

/* Sorts the ids, and leaves out repeated ones: the first place counts, the others are duplicates. */
static void
sort_entries(struct claim *claim, const struct inbox_id *ids, size_t id_count)
{
    for (size_t i = 0; i < id_count; i++) {
        claim->entries[i] = (struct entry){.id = &ids[i]};
    }
    qsort(claim->entries, id_count, sizeof(claim->entries[0]), compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < id_count; i++) {
        if (kept == 0 || compare_ids(claim->entries[kept - 1].id, claim->entries[i].id) != 0) {
            claim->entries[kept++] = claim->entries[i];
        }
    }
    claim->entry_count = kept;
}

/* A statement with a line for each message, and the text between the lines. */
struct list {
    const char *sql;
    const char *separator;
};

static const struct list claim_list = {sql_claim, ", "};
static const struct list present_list = {sql_present, " union all "};

/* The most bytes that the text of a statement of this claim has. */
static size_t
text_max(const struct list *list, const char *consumer, size_t message_count)
{
    const struct mysql_parts parts = mysql_statement_parts(list->sql);
    const size_t lines = message_count < CHUNK_MESSAGES ? message_count : CHUNK_MESSAGES;
    const size_t line_max = parts.item_length + strlen(list->separator) +
                            mysql_statement_literal_max(strlen(consumer)) +
                            mysql_statement_literal_max(INBOX_NAME_MAX_BYTES);
    return parts.head_length + lines * line_max + parts.tail_length;
}

/* Writes the statement for the entries whose verdict is not known yet; returns its length. */
static size_t
put_list(const struct claim *claim, const struct list *list, const struct entry *entries,
         size_t count)
{
    const struct mysql_parts parts = mysql_statement_parts(list->sql);
    const size_t separator_length = strlen(list->separator);
    bool is_first = true;
    char *out = mempcpy(claim->text, parts.head, parts.head_length);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].verdict != 0) {
            continue;
        }
        const struct mysql_value values[] = {
            {"@consumer", claim->consumer, strlen(claim->consumer), false},
            {"@message_id", entries[i].id->bytes, entries[i].id->length, false},
        };
        out = mempcpy(out, list->separator, is_first ? 0 : separator_length);
        out = mysql_statement_put(out, parts.item, parts.item_length, values, 2);
        is_first = false;
    }
    out = mempcpy(out, parts.tail, parts.tail_length);
    return (size_t)(out - claim->text);
}

static inbox_result
run_list(const struct claim *claim, const struct list *list, const struct entry *entries,
         size_t count, MYSQL_RES **ret_rows, struct inbox_error *reterr)
{
    const size_t length = put_list(claim, list, entries, count);
    return mysql_query_run(claim->tx, claim->text, length, ret_rows, reterr);
}

static int
compare_id_with_entry(const void *id, const void *entry)
{
    return compare_ids(id, ((const struct entry *)entry)->id);
}

/* Marks as duplicates the entries that have been claimed already; *ret_found: how many. */
static inbox_result
mark_present(const struct claim *claim, struct entry *entries, size_t count, size_t *ret_found,
             struct inbox_error *reterr)
{
    MYSQL_RES *rows = NULL;
    const inbox_result code = run_list(claim, &present_list, entries, count, &rows, reterr);
    size_t found = 0;
    for (MYSQL_ROW row = first_row(rows); row != NULL; row = mysql_fetch_row(rows)) {
        const struct inbox_id id = {row[0], mysql_fetch_lengths(rows)[0]};
        struct entry *entry =
            bsearch(&id, entries, count, sizeof(entries[0]), compare_id_with_entry);
        if (entry != NULL && entry->verdict == 0) {
            entry->verdict = INBOX_DUPLICATE;
            found++;
        }
    }
    mysql_free_result(rows);
    *ret_found = found;
    return code;
}

/* Counts the entries whose verdict is not known yet. */
static size_t
count_open(const struct entry *entries, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        open += entries[i].verdict == 0;
    }
    return open;
}

static void
mark_open_first(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].verdict == 0) {
            entries[i].verdict = INBOX_FIRST;
        }
    }
}

/* Inserts all entries. If one exists already, looks which ones do, and goes on with the others; meanwhile another
 * session may claim one more. */
static inbox_result
claim_chunk(const struct claim *claim, struct entry *entries, size_t count,
            struct inbox_error *reterr)
{
    while (count_open(entries, count) > 0) {
        struct inbox_error failure;
        MYSQL_RES *rows = NULL;
        inbox_result code = run_list(claim, &claim_list, entries, count, &rows, &failure);
        if (code == INBOX_OK) {
            mark_open_first(entries, count);
            return INBOX_OK;
        }
        size_t found = 0;
        if (mysql_errno(claim->tx) == ER_DUP_ENTRY) {
            const inbox_result looked = mark_present(claim, entries, count, &found, &failure);
            code = looked == INBOX_OK ? code : looked;
        }
        if (found == 0) { /* another error, or a unique index that is not the inbox's */
            if (reterr != NULL) {
                *reterr = failure;
            }
            return code;
        }
    }
    return INBOX_OK;
}

static inbox_result
claim_entries(const struct claim *claim, struct inbox_error *reterr)
{
    inbox_result code = INBOX_OK;
    for (size_t at = 0; code == INBOX_OK && at < claim->entry_count; at += CHUNK_MESSAGES) {
        const size_t left = claim->entry_count - at;
        code = claim_chunk(claim, claim->entries + at,
                           left < CHUNK_MESSAGES ? left : CHUNK_MESSAGES, reterr);
    }
    return code;
}

static void
tell_verdicts(const struct claim *claim, const struct inbox_id *ids, size_t id_count,
              inbox_verdict *ret_verdicts)
{
    for (size_t i = 0; i < id_count; i++) {
        ret_verdicts[i] = INBOX_DUPLICATE;
    }
    for (size_t i = 0; i < claim->entry_count; i++) {
        ret_verdicts[claim->entries[i].id - ids] = claim->entries[i].verdict;
    }
}

/* Allocates all memory before the first statement: if an answer could not be read, a claim would stay that the caller does not
 * know of. */
static inbox_result
claim_with_memory(struct claim *claim, const struct inbox_id *ids, size_t id_count,
                  inbox_verdict *ret_verdicts, struct inbox_error *reterr)
{
    const size_t claim_max = text_max(&claim_list, claim->consumer, id_count);
    const size_t present_max = text_max(&present_list, claim->consumer, id_count);
    claim->entries = malloc(id_count * sizeof(claim->entries[0]));
    claim->text = malloc(claim_max > present_max ? claim_max : present_max);
    if (claim->entries == NULL || claim->text == NULL) {
        return inbox_fail(reterr, INBOX_NO_MEMORY, "no memory for %zu messages", id_count);
    }
    sort_entries(claim, ids, id_count);
    const inbox_result code = claim_entries(claim, reterr);
    if (code == INBOX_OK) {
        tell_verdicts(claim, ids, id_count, ret_verdicts);
    }
    return code;
}

static inbox_result
check_claim(const inbox_mysql *inbox, MYSQL *tx, const char *consumer, const struct inbox_id *ids,
            size_t id_count, struct inbox_error *reterr)
{
    inbox_result code = inbox_mysql_look_in_transaction(inbox, tx, reterr);
    if (code == INBOX_OK) {
        code = inbox_check_consumer(consumer, reterr);
    }
    return code == INBOX_OK ? inbox_check_ids(ids, id_count, reterr) : code;
}

inbox_result
inbox_mysql_claim_many(const inbox_mysql *inbox, MYSQL *tx, const char *consumer,
                       const struct inbox_id *ids, size_t id_count, inbox_verdict *ret_verdicts,
                       struct inbox_error *reterr)
{
    inbox_result code = check_claim(inbox, tx, consumer, ids, id_count, reterr);
    if (code != INBOX_OK || id_count == 0) {
        return code;
    }
    if (ret_verdicts == NULL) {
        return inbox_fail(reterr, INBOX_INVALID, "there is no place for the verdicts: it is NULL");
    }
    struct claim claim = {.tx = tx, .consumer = consumer};
    code = claim_with_memory(&claim, ids, id_count, ret_verdicts, reterr);
    free(claim.entries);
    free(claim.text);
    return code;
}

inbox_result
inbox_mysql_claim(const inbox_mysql *inbox, MYSQL *tx, const char *consumer, const void *message_id,
                  size_t message_id_length, inbox_verdict *ret_verdict, struct inbox_error *reterr)
{
    const struct inbox_id id = {message_id, message_id_length};
    return inbox_mysql_claim_many(inbox, tx, consumer, &id, 1, ret_verdict, reterr);
}

static inbox_result
run_forget(MYSQL *conn, uint64_t age_s, uint32_t limit, struct inbox_error *reterr)
{
    char age[24];
    char most[16];
    char text[sizeof(sql_forget) + sizeof(age) + sizeof(most)];
    const struct mysql_value values[] = {
        {"@age_s", age, (size_t)snprintf(age, sizeof(age), "%" PRIu64, age_s), true},
        {"1000", most, (size_t)snprintf(most, sizeof(most), "%" PRIu32, limit), true},
    };
    MYSQL_RES *rows = NULL;
    const char *end = mysql_statement_put(text, sql_forget, strlen(sql_forget), values, 2);
    return mysql_query_run(conn, text, (size_t)(end - text), &rows, reterr);
}

inbox_result
inbox_mysql_forget(const inbox_mysql *inbox, MYSQL *conn, uint64_t age_s, uint32_t limit,
                   uint64_t *ret_forgotten, struct inbox_error *reterr)
{
    bool in_transaction = false;
    inbox_result code = inbox_check_forget(age_s, limit, reterr);
    if (code == INBOX_OK) {
        code = look(inbox, conn, &in_transaction, reterr);
    }
    if (code == INBOX_OK) {
        code = run_forget(conn, age_s, limit, reterr);
    }
    if (code == INBOX_OK && ret_forgotten != NULL) {
        *ret_forgotten = mysql_affected_rows(conn);
    }
    return code;
}
