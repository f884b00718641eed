#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/ports/admin_ops.h"
#include "relay/postgres/admin.h"

#include "status_backlog_sql.h"
#include "status_behind_sql.h"
#include "status_relay_sql.h"
#include "status_sessions_sql.h"
#include "status_slot_sql.h"
#include "status_vacuum_sql.h"

/* A row that is older than the owner's session was written by an earlier owner. */
static bool
is_by_owner(const struct admin_status *status)
{
    const struct admin_session *const owner = admin_status_owner(status);
    return owner != NULL &&
           (owner->since_us == ADMIN_NO_TIME || status->relay.updated_us >= owner->since_us);
}

static bool
get_relay(struct admin *admin, struct admin_relay *ret_relay, struct error *reterr)
{
    PGresult *const result = admin_postgres_query(admin, sql_status_relay, 0, NULL, reterr);
    if (result == NULL) {
        return false;
    }
    *ret_relay = (struct admin_relay){.rows = admin_postgres_own(result)};
    if (PQntuples(result) == 0) {
        return true;
    }
    *ret_relay = (struct admin_relay){
        .known = true,
        .host = admin_postgres_text(result, 0, 0),
        .pid = admin_postgres_int(result, 0, 1, 0),
        .version = admin_postgres_text(result, 0, 2),
        .in_flight = (uint64_t)admin_postgres_int(result, 0, 3, 0),
        .read_up_to = admin_postgres_int(result, 0, 4, INT64_MIN),
        .published_up_to = admin_postgres_int(result, 0, 5, INT64_MIN),
        .confirmed = (uint64_t)admin_postgres_int(result, 0, 6, 0),
        .rate = strtod(PQgetvalue(result, 0, 7), NULL),
        .paused_reason = admin_postgres_text(result, 0, 8),
        .owned_since_us = admin_postgres_int(result, 0, 9, ADMIN_NO_TIME),
        .updated_us = admin_postgres_int(result, 0, 10, ADMIN_NO_TIME),
        .in_flight_since_us = admin_postgres_int(result, 0, 11, ADMIN_NO_TIME),
        .paused_since_us = admin_postgres_int(result, 0, 12, ADMIN_NO_TIME),
        .reads = admin_postgres_text(result, 0, 13),
        .reads_reason = admin_postgres_text(result, 0, 14),
        .swept = (uint64_t)admin_postgres_int(result, 0, 15, 0),
        .rows = ret_relay->rows,
    };
    return true;
}

static bool
get_sessions(struct admin *admin, struct admin_status *status, struct error *reterr)
{
    const char *const values[] = {admin_postgres_of(admin)->application_name};
    PGresult *const result = admin_postgres_query(admin, sql_status_sessions, 1, values, reterr);
    if (result == NULL) {
        return false;
    }
    const int count = PQntuples(result);
    status->sessions = (struct admin_sessions){
        .sessions = memory_array((size_t)count, sizeof(*status->sessions.sessions)),
        .count = (size_t)count,
        .rows = admin_postgres_own(result),
    };
    for (int i = 0; i < count; i++) {
        status->sessions.sessions[i] = (struct admin_session){
            .pid = admin_postgres_int(result, i, 0, 0),
            .application = admin_postgres_text(result, i, 1),
            .host = admin_postgres_text(result, i, 2),
            .since_us = admin_postgres_int(result, i, 3, ADMIN_NO_TIME),
            .owns = admin_postgres_bool(result, i, 4),
        };
    }
    return true;
}

/* Only for a tableless source: for others the relay itself drops a slot that retains too much. */
static const char *
remark_on(const struct source_config *source, uint64_t retained)
{
    const bool excessive = source->wal_retain_max > 0 && retained > source->wal_retain_max;
    return excessive && source->tableless ? "more than wal_retain_max; messages may be nowhere else"
                                          : NULL;
}

/* The server's word, as one that lives for ever. */
static const char *
condition_of(const char *word)
{
    static const char *const words[] = {"reserved", "extended", "unreserved", "lost"};
    for (size_t i = 0; word != NULL && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i], word) == 0) {
            return words[i];
        }
    }
    return NULL;
}

static bool
get_slot(struct admin *admin, struct admin_keeper *ret_keeper, struct error *reterr)
{
    const struct admin_postgres *const self = admin_postgres_of(admin);
    const char *const values[] = {self->slot};
    PGresult *const result = admin_postgres_query(admin, sql_status_slot, 1, values, reterr);
    if (result == NULL) {
        return false;
    }
    if (PQntuples(result) == 1) {
        const uint64_t retained = (uint64_t)admin_postgres_int(result, 0, 0, 0);
        const int64_t left = admin_postgres_int(result, 0, 3, 0);
        *ret_keeper = (struct admin_keeper){
            .what = "slot",
            .active = admin_postgres_bool(result, 0, 1),
            .lost = PQgetisnull(result, 0, 0) != 0,
            .retained = retained,
            .remark = remark_on(self->source, retained),
            .condition = condition_of(admin_postgres_text(result, 0, 2)),
            .limited = PQgetisnull(result, 0, 3) == 0,
            .left = left > 0 ? (uint64_t)left : 0,
        };
        _Static_assert(sizeof(ret_keeper->name) == sizeof(self->slot), "a slot's name fits");
        memcpy(ret_keeper->name, self->slot, sizeof(ret_keeper->name));
    }
    PQclear(result);
    return true;
}

static bool
get_vacuum(struct admin *admin, struct admin_vacuum *ret_vacuum, struct error *reterr)
{
    PGresult *const result = admin_postgres_query(admin, sql_status_vacuum, 0, NULL, reterr);
    if (result == NULL) {
        return false;
    }
    *ret_vacuum = (struct admin_vacuum){
        .known = true,
        .dead_rows = (uint64_t)admin_postgres_int(result, 0, 0, 0),
        .has_snapshot = PQgetisnull(result, 0, 1) == 0,
        .snapshot_lag = (uint64_t)admin_postgres_int(result, 0, 1, 0),
    };
    PQclear(result);
    return true;
}

static bool
get_backlog(struct admin *admin, struct admin_status *status, struct error *reterr)
{
    PGresult *const result = admin_postgres_query(admin, sql_status_backlog, 0, NULL, reterr);
    if (result == NULL) {
        return false;
    }
    status->pending = (uint64_t)admin_postgres_int(result, 0, 0, 0);
    status->oldest_us = admin_postgres_int(result, 0, 1, ADMIN_NO_TIME);
    status->held = admin_postgres_counts(result, 2);
    status->now_us = admin_postgres_int(result, 0, 6, 0);
    PQclear(result);
    return true;
}

bool
admin_postgres_status_get(struct admin *admin, struct admin_status *ret_status,
                          struct error *reterr)
{
    struct admin_status status = {0};
    if (!get_sessions(admin, &status, reterr) || !get_relay(admin, &status.relay, reterr) ||
        !get_slot(admin, &status.keeper, reterr) || !get_vacuum(admin, &status.vacuum, reterr) ||
        !get_backlog(admin, &status, reterr)) {
        admin_status_free(&status);
        return false;
    }
    status.relay.by_owner = is_by_owner(&status);
    *ret_status = status;
    return true;
}

bool
admin_postgres_log_behind(struct admin *admin, log_position position, bool *ret_known,
                          uint64_t *ret_bytes, struct error *reterr)
{
    char text[24];
    const char *const values[] = {text};
    (void)snprintf(text, sizeof(text), "%" PRIu64, position); /* fits */
    PGresult *const result = admin_postgres_query(admin, sql_status_behind, 1, values, reterr);
    if (result == NULL) {
        return false;
    }
    *ret_known = PQgetisnull(result, 0, 0) == 0;
    *ret_bytes = (uint64_t)admin_postgres_int(result, 0, 0, 0);
    PQclear(result);
    return true;
}
