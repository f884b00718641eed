#include "relay/mysql/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/versions.h"

#include "mysql_tables_sql.h"
#include "mysql_version_sql.h"

static const struct my_parameters none = {.count = 0};

struct admin_mysql {
    struct admin admin;
    struct my_session *session;
};

struct my_session *
my_admin_session(struct admin *admin)
{
    return ((struct admin_mysql *)admin)->session; /* `admin` is its first member */
}

bool
my_admin_fail(struct admin *admin, struct error *reterr)
{
    *reterr = my_admin_session(admin)->error;
    return false;
}

bool
my_admin_ask(struct admin *admin, const char *sql, const struct my_parameters *parameters,
             MYSQL_RES **ret_rows, struct error *reterr)
{
    return my_session_ask(my_admin_session(admin), sql, parameters, ret_rows) ||
           my_admin_fail(admin, reterr);
}

int64_t
my_admin_int(const char *value, int64_t absent)
{
    return value == NULL ? absent : my_value_int(value);
}

static void
free_rows(void *rows)
{
    mysql_free_result(rows);
}

struct admin_rows
my_admin_own(MYSQL_RES *rows)
{
    return (struct admin_rows){.owner = rows, .free_owner = free_rows};
}

void
my_admin_name(struct my_parameters *parameters, const struct admin_name *name)
{
    if (name->is_uuid) {
        my_parameters_null(parameters, "id");
        my_parameters_text(parameters, "message_id", name->uuid);
    } else {
        /* Its form was checked before. */
        my_parameters_int(parameters, "id", strtoll(name->text, NULL, 10));
        my_parameters_null(parameters, "message_id");
    }
}

void
my_admin_count(struct admin_counts *counts, const char *state)
{
    counts->scheduled += strcmp(state, "scheduled") == 0 ? 1 : 0;
    counts->retrying += strcmp(state, "retrying") == 0 ? 1 : 0;
    counts->waiting += strcmp(state, "waiting") == 0 ? 1 : 0;
    counts->dead += strcmp(state, "dead") == 0 ? 1 : 0;
}

void
my_admin_filter(struct my_parameters *parameters, const struct admin_filter *filter)
{
    my_parameters_text(parameters, "state", filter->state);
    my_parameters_text(parameters, "of_key", filter->key);
    my_parameters_text(parameters, "type", filter->type);
    my_parameters_text(parameters, "reason", filter->reason);
    if (filter->older_than_us == 0) {
        my_parameters_null(parameters, "older_us");
    } else {
        my_parameters_int(parameters, "older_us", (int64_t)filter->older_than_us);
    }
}

/* ---- opening -------------------------------------------------------------------------------------------- */

static bool
check_version(struct admin *admin, struct error *reterr)
{
    int64_t version; /* 0: not made by `init` */
    if (!my_session_int(my_admin_session(admin), sql_version, &none, 0, &version)) {
        return my_admin_fail(admin, reterr);
    }
    return version == MY_RELAY_SCHEMA_VERSION ||
           error_set(reterr, ERROR_CONFIG,
                     "the relay's tables have version %d, this command needs version %d: %s",
                     (int)version, MY_RELAY_SCHEMA_VERSION,
                     version > MY_RELAY_SCHEMA_VERSION ? "use the outbox-relay that fits the tables"
                                                       : "run `outbox-relay init`");
}

static bool
look_at_tables(const MYSQL_ROW row, struct my_session *session, struct error *reterr)
{
    my_lock_name(row[0], session->lock);
    my_mark_name(row[0], session->mark);
    if (!my_value_bool(row[1])) {
        return error_set(reterr, ERROR_CONFIG,
                         "there is no table outbox in the database \"%s\" that this account may "
                         "see: run `outbox-relay init`",
                         row[0]);
    }
    return my_value_int(row[2]) == 4 ||
           error_set(reterr, ERROR_CONFIG,
                     "the tables for held messages and status are missing, or this account may not "
                     "see all of them: run `outbox-relay init`, or grant select on them");
}

/* my_dsn_take makes sure that the dsn names a database. */
static bool
check_tables(struct admin *admin, struct error *reterr)
{
    MYSQL_RES *rows;
    if (!my_admin_ask(admin, sql_tables, &none, &rows, reterr)) {
        return false;
    }
    const bool good = look_at_tables(mysql_fetch_row(rows), my_admin_session(admin), reterr);
    mysql_free_result(rows);
    return good && check_version(admin, reterr);
}

static void
close_admin(struct admin *admin)
{
    my_foreground_close(my_admin_session(admin));
    memory_free(admin);
}

static const struct admin_ops mysql_ops = {
    .close = close_admin,
    .status_get = my_admin_status_get,
    .held_list = my_admin_held_list,
    .held_count = my_admin_held_count,
    .held_reasons = my_admin_held_reasons,
    .held_find = my_admin_held_find,
    .held_place = my_admin_held_place,
    .held_heads_of = my_admin_held_heads_of,
    .held_retry = my_admin_held_retry,
    .held_discard = my_admin_held_discard,
    .log_behind = my_admin_log_behind,
    .held_acts = my_admin_held_acts,
    .explain = my_admin_explain,
};

struct admin *
my_admin_open(const struct source_config *source, struct error *reterr)
{
    struct admin_mysql *const self = memory_array(1, sizeof(*self));
    self->admin.ops = &mysql_ops;
    self->session = my_foreground_open(source, true, reterr);
    if (self->session == NULL || !check_tables(&self->admin, reterr)) {
        admin_close(&self->admin);
        return NULL;
    }
    return &self->admin;
}
