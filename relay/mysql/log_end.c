#include "relay/mysql/log_end.h"

#include <mysqld_error.h>
#include <string.h>

#include "mysql_log_end_new_sql.h"
#include "mysql_log_end_sql.h"

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
