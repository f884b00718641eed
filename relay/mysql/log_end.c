#include "relay/mysql/log_end.h"

#include <mysqld_error.h>
#include <string.h>

#include "mysql_log_end_new_sql.h"
#include "mysql_log_end_sql.h"
#include "mysql_log_files_sql.h"

#define MYSQL_NEW_WORDS 80200 /* has SHOW BINARY LOG STATUS; 8.4 no longer has SHOW MASTER STATUS */

enum column { COLUMN_FILE, COLUMN_OFFSET, COLUMN_ONLY, COLUMN_NOT };

bool
my_log_end_lists(const char *names, const char *name)
{
    const size_t size = strlen(name);
    while (names[0] != '\0') {
        const size_t length = strcspn(names, ",");
        if (length == size && memcmp(names, name, size) == 0) {
            return true;
        }
        names += length + (names[length] == ',' ? 1 : 0);
    }
    return false;
}

static bool
leaves_out(const MYSQL_ROW row, const char *schema)
{
    const char *const only = row[COLUMN_ONLY];
    const char *const not = row[COLUMN_NOT];
    return schema != NULL &&
           ((only != NULL && only[0] != '\0' && !my_log_end_lists(only, schema)) ||
            (not != NULL && my_log_end_lists(not, schema)));
}

static void
take(const MYSQL_ROW row, const char *schema, struct my_log_end *end)
{
    if (row == NULL || row[COLUMN_FILE] == NULL) {
        return;
    }
    const struct span name = {row[COLUMN_FILE], strlen(row[COLUMN_FILE])};
    if (!my_position_of(name, (uint64_t)my_value_int(row[COLUMN_OFFSET]), &end->log,
                        &end->position)) {
        end->position = 0;
    }
    end->is_left_out = leaves_out(row, schema);
}

bool
my_log_end_ask(struct my_session *session, const char *schema, struct my_log_end *ret_end)
{
    static const struct my_parameters none = {.count = 0};
    MYSQL_RES *rows;
    const bool has_new_words =
        !session->is_mariadb && mysql_get_server_version(session->mysql) >= MYSQL_NEW_WORDS;
    *ret_end = (struct my_log_end){.position = 0};
    if (!my_session_ask(session, has_new_words ? sql_log_end_new : sql_log_end, &none, &rows)) {
        ret_end->is_refused = session->code == ER_SPECIFIC_ACCESS_DENIED_ERROR;
        return ret_end->is_refused;
    }
    take(mysql_fetch_row(rows), schema, ret_end);
    mysql_free_result(rows);
    return true;
}

/* ---- how far it is to the end ---- */

struct place {
    char file[MY_LOG_NAME_BYTES];
    uint32_t offset;
};

static uint64_t
without(uint64_t size, uint64_t offset)
{
    return size > offset ? size - offset : 0;
}

/* From one place, in an earlier file, to the other. */
static bool
add_files(struct my_session *session, const struct place *from, const struct place *to,
          bool *ret_known, uint64_t *ret_bytes)
{
    static const struct my_parameters none = {.count = 0};
    MYSQL_RES *rows;
    bool found = false;
    if (!my_session_ask(session, sql_log_files, &none, &rows)) {
        return false;
    }
    *ret_bytes = to->offset;
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL && strcmp(row[0], to->file) != 0;) {
        const uint64_t size = (uint64_t)my_value_int(row[1]);
        const bool is_first = strcmp(row[0], from->file) == 0;
        found |= is_first;
        *ret_bytes += is_first ? without(size, from->offset) : found ? size : 0;
    }
    mysql_free_result(rows);
    *ret_known = found;
    return true;
}

bool
my_log_end_behind(struct my_session *session, log_position position, bool *ret_known,
                  uint64_t *ret_bytes)
{
    struct my_log_end end;
    struct place from;
    struct place to;
    *ret_known = false;
    *ret_bytes = 0;
    if (!my_log_end_ask(session, NULL, &end)) {
        return false;
    }
    if (position > end.position) {
        return true;
    }
    my_position_place(&end.log, position, from.file, &from.offset);
    my_position_place(&end.log, end.position, to.file, &to.offset);
    if (strcmp(from.file, to.file) != 0) {
        return add_files(session, &from, &to, ret_known, ret_bytes);
    }
    *ret_known = true;
    *ret_bytes = to.offset - from.offset;
    return true;
}
