#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "relay/mysql/admin.h"
#include "relay/mysql/log_end.h"

#include "mysql_status_backlog_sql.h"
#include "mysql_status_relay_sql.h"
#include "mysql_status_sessions_sql.h"

static const struct my_parameters none = {.count = 0};

/* The columns of status_relay.sql. */
enum column {
    COLUMN_HOST,
    COLUMN_PID,
    COLUMN_VERSION,
    COLUMN_IN_FLIGHT,
    COLUMN_READ_UP_TO,
    COLUMN_PUBLISHED_UP_TO,
    COLUMN_CONFIRMED,
    COLUMN_RATE,
    COLUMN_PAUSED_REASON,
    COLUMN_OWNED_SINCE,
    COLUMN_UPDATED,
    COLUMN_IN_FLIGHT_SINCE,
    COLUMN_PAUSED_SINCE,
    COLUMN_READS,
    COLUMN_READS_REASON,
    COLUMN_SWEPT,
    COLUMN_SESSION,
};

static void
read_relay(const MYSQL_ROW row, struct admin_relay *relay)
{
    relay->known = true;
    relay->host = row[COLUMN_HOST];
    relay->pid = my_value_int(row[COLUMN_PID]);
    relay->version = row[COLUMN_VERSION];
    relay->in_flight = (uint64_t)my_value_int(row[COLUMN_IN_FLIGHT]);
    relay->in_flight_since_us = my_admin_int(row[COLUMN_IN_FLIGHT_SINCE], ADMIN_NO_TIME);
    relay->read_up_to = my_admin_int(row[COLUMN_READ_UP_TO], INT64_MIN);
    relay->published_up_to = my_admin_int(row[COLUMN_PUBLISHED_UP_TO], INT64_MIN);
    relay->confirmed = (uint64_t)my_value_int(row[COLUMN_CONFIRMED]);
    relay->rate = strtod(row[COLUMN_RATE], NULL);
    relay->paused_reason = row[COLUMN_PAUSED_REASON];
    relay->paused_since_us = my_admin_int(row[COLUMN_PAUSED_SINCE], ADMIN_NO_TIME);
    relay->reads = row[COLUMN_READS];
    relay->reads_reason = row[COLUMN_READS_REASON];
    relay->swept = (uint64_t)my_value_int(row[COLUMN_SWEPT]);
    relay->owned_since_us = my_admin_int(row[COLUMN_OWNED_SINCE], ADMIN_NO_TIME);
    relay->updated_us = my_admin_int(row[COLUMN_UPDATED], ADMIN_NO_TIME);
}

/* The row has the number of the session that wrote it, so it shows whether the present owner wrote it or an earlier
 * one. */
static bool
get_relay(struct admin *admin, struct admin_status *status, struct error *reterr)
{
    MYSQL_RES *rows;
    const struct admin_session *const owner = admin_status_owner(status);
    if (!my_admin_ask(admin, sql_status_relay, &none, &rows, reterr)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    status->relay.rows = my_admin_own(rows);
    if (row != NULL) {
        read_relay(row, &status->relay);
        status->relay.by_owner = owner != NULL && owner->pid == my_value_int(row[COLUMN_SESSION]);
    }
    return true;
}

/* The host from which a session connects, without the port. NULL: it uses a socket of the server's machine, or the
 * account may not see it. Cuts `host`. */
static const char *
host_of(char *host)
{
    char *const port = host == NULL ? NULL : strrchr(host, ':');
    if (port != NULL) {
        *port = '\0';
    }
    return host == NULL || strcmp(host, "localhost") == 0 ? NULL : host;
}

static bool
get_sessions(struct admin *admin, struct admin_status *status, struct error *reterr)
{
    MYSQL_RES *rows;
    struct my_session *const session = my_admin_session(admin);
    struct my_parameters parameters = {.count = 0};
    my_parameters_text(&parameters, "lock_name", session->lock);
    my_parameters_text(&parameters, "mark", session->mark);
    if (!my_admin_ask(admin, sql_status_sessions, &parameters, &rows, reterr)) {
        return false;
    }
    const size_t count = mysql_num_rows(rows);
    status->sessions = (struct admin_sessions){
        .sessions = memory_array(count, sizeof(*status->sessions.sessions)),
        .count = count,
        .rows = my_admin_own(rows),
    };
    for (size_t i = 0; i < count; i++) {
        const MYSQL_ROW row = mysql_fetch_row(rows);
        status->sessions.sessions[i] = (struct admin_session){
            .pid = my_value_int(row[0]),
            .host = host_of(row[1]),
            .since_us = ADMIN_NO_TIME,
            .owns = my_value_bool(row[2]),
        };
    }
    return true;
}

static bool
get_backlog(struct admin *admin, struct admin_status *status, struct error *reterr)
{
    MYSQL_RES *rows;
    if (!my_admin_ask(admin, sql_status_backlog, &none, &rows, reterr)) {
        return false;
    }
    const MYSQL_ROW row = mysql_fetch_row(rows);
    status->pending = (uint64_t)my_value_int(row[0]);
    status->oldest_us = my_admin_int(row[1], ADMIN_NO_TIME);
    status->held = (struct admin_counts){
        .scheduled = (uint64_t)my_value_int(row[2]),
        .retrying = (uint64_t)my_value_int(row[3]),
        .waiting = (uint64_t)my_value_int(row[4]),
        .dead = (uint64_t)my_value_int(row[5]),
    };
    status->now_us = my_value_int(row[6]);
    mysql_free_result(rows);
    return true;
}

bool
my_admin_status_get(struct admin *admin, struct admin_status *ret_status, struct error *reterr)
{
    struct admin_status status = {0};
    if (!get_sessions(admin, &status, reterr) || !get_relay(admin, &status, reterr) ||
        !get_backlog(admin, &status, reterr)) {
        admin_status_free(&status);
        return false;
    }
    *ret_status = status;
    return true;
}

bool
my_admin_log_behind(struct admin *admin, log_position position, bool *ret_known,
                    uint64_t *ret_bytes, struct error *reterr)
{
    return my_log_end_behind(my_admin_session(admin), position, ret_known, ret_bytes) ||
           my_admin_fail(admin, reterr);
}
