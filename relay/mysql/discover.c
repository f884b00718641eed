#include "relay/mysql/discover.h"

#include <string.h>

#include "base/dsn.h"
#include "relay/config/dsn.h"
#include "relay/config/secret.h"
#include "relay/mysql/foreground.h"

#include "mysql_discover_sql.h"

/* Everybody may use this database. */
#define DATABASE "information_schema"

/* The server ends the query after 10 s. A server that does not even say so is given up a little later. */
#define SILENCE_S 15

static const struct my_parameters none = {.count = 0};

static bool
too_many(size_t rows_max, struct error *reterr)
{
    return error_set(reterr, ERROR_CONFIG,
                     "the query of `discover` gives more than %zu rows: so many tenants are not "
                     "believed",
                     rows_max);
}

static bool
failed(struct my_session *session, struct error *reterr)
{
    (void)my_session_fail_by_mysql(session); /* always false */
    return error_set(reterr, session->error.class, "the query of `discover` failed: %s",
                     session->error.text);
}

static bool
take(struct my_session *session, MYSQL_RES *rows, size_t rows_max, struct database_names *ret_names,
     struct error *reterr)
{
    if (mysql_num_fields(rows) != 1) {
        return error_set(reterr, ERROR_CONFIG,
                         "the query of `discover` gives %u columns: one is expected, with the "
                         "names of the tenants",
                         mysql_num_fields(rows));
    }
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        if (ret_names->count == rows_max) {
            return too_many(rows_max, reterr);
        }
        database_names_add(ret_names, row[0], mysql_fetch_lengths(rows)[0]);
    }
    return mysql_errno(session->mysql) == 0 || failed(session, reterr);
}

/* Rows are read as they come, so that a query without an end cannot fill the memory. */
static bool
look(struct my_session *session, const char *query, size_t rows_max,
     struct database_names *ret_names, struct error *reterr)
{
    if (!my_session_run(session, sql_discover, &none, NULL) ||
        !my_session_run(session, "start transaction read only", &none, NULL)) {
        *reterr = session->error;
        return false;
    }
    if (mysql_real_query(session->mysql, query, (unsigned long)strlen(query)) != 0) {
        return failed(session, reterr);
    }
    MYSQL_RES *const rows = mysql_use_result(session->mysql);
    if (rows == NULL) {
        return mysql_errno(session->mysql) != 0
                   ? failed(session, reterr)
                   : error_set(reterr, ERROR_CONFIG, "`discover` is no query: it gives no rows");
    }
    const bool good = take(session, rows, rows_max, ret_names, reterr);
    mysql_free_result(rows); /* reads the rest, for as long as the query may take */
    return good;
}

bool
discover_mysql(const struct source_config *template, size_t rows_max,
               struct database_names *ret_names, struct error *reterr)
{
    struct source_config place = *template;
    place.dsn = config_dsn_discover(template, dsn_mysql_parse, DATABASE, reterr);
    if (place.dsn == NULL) {
        return false;
    }
    struct my_session *const session = my_foreground_open_limited(&place, SILENCE_S, reterr);
    const bool good =
        session != NULL && look(session, template->discover, rows_max, ret_names, reterr);
    my_foreground_close(session);
    config_secret_free(place.dsn);
    return good;
}
