#include "relay/mysql/versions.h"

#include <mysqld_error.h>

#include "relay/mysql/schema.h"

#include "mysql_is_ours_sql.h"
#include "mysql_version_of_outbox_sql.h"
#include "mysql_version_sql.h"

static const struct my_parameters none = {.count = 0};

/* *ret_there: the table exists; *ret_foreign: it does not have our columns. */
static bool
ask(struct my_session *session, const char *sql, int64_t *ret_value, bool *ret_there,
    bool *ret_foreign)
{
    *ret_value = 0;
    if (my_session_int(session, sql, &none, 0, ret_value)) {
        *ret_there = true;
        return true;
    }
    *ret_there = session->code != ER_NO_SUCH_TABLE;
    *ret_foreign |= session->code == ER_BAD_FIELD_ERROR;
    return session->code == ER_NO_SUCH_TABLE || session->code == ER_BAD_FIELD_ERROR;
}

bool
my_versions_look(struct my_session *session, struct my_versions *ret_versions)
{
    struct my_versions versions = {.there = false};
    int64_t ignored;
    int64_t outbox;
    int64_t relay;
    bool there;
    if (!ask(session, sql_is_ours, &ignored, &versions.there, &versions.foreign) ||
        !ask(session, sql_version_of_outbox, &outbox, &there, &versions.foreign) ||
        !ask(session, sql_version, &relay, &there, &versions.foreign)) {
        return false;
    }
    versions.outbox = (int)outbox;
    versions.relay = (int)relay;
    *ret_versions = versions;
    return true;
}

bool
my_versions_put(struct my_session *session)
{
    struct my_versions versions;
    return my_versions_look(session, &versions) &&
           (versions.outbox > 0 || my_session_run(session, my_version_sql, &none, NULL)) &&
           (versions.relay > 0 || my_session_run(session, my_relay_version_sql, &none, NULL));
}
