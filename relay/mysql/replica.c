#include "relay/mysql/replica.h"

#include <mysqld_error.h>

#include "base/clock.h"
#include "relay/mysql/error.h"

#include "mysql_tail_session_sql.h"

/* Server ids of replicas are small in practice, and no other session of this server has the same session number. So no
 * two readers of its log have the same id. */
#define SERVER_ID_HIGH (UINT32_C(1) << 31)
/* How often an idle server says that it is there. */
#define HEARTBEAT_US (10 * CLOCK_S_US)
/* ER_MASTER_FATAL_ERROR_READING_BINLOG; MySQL has another name for it. */
#define OLD_LOG_GONE 1236

static bool
came_to_an_end(struct my_session *session)
{
    const unsigned code = mysql_errno(session->mysql);
    session->code = code;
    session->broken = true;
    if (code == 0) {
        return error_set(&session->error, ERROR_CONNECTION,
                         "the server does not send its log any more");
    }
    if (code == OLD_LOG_GONE) {
        return error_set(&session->error, ERROR_TRANSIENT,
                         "the server does not send its log from where it was to be read (%u: %s)",
                         code, mysql_error(session->mysql));
    }
    if (code == ER_SPECIFIC_ACCESS_DENIED_ERROR) {
        return error_set(&session->error, ERROR_CONFIG,
                         "the account may not read the log: grant replication slave on *.* to it");
    }
    my_error_from_mysql(session->mysql, &session->error);
    return false;
}

bool
my_replica_prepare(struct my_session *session)
{
    /* The client library gives up after a silence of two leases (link.c). */
    const uint64_t patience_us = session->config->takeover_us * 2 / 3;
    const uint64_t period_us = patience_us < HEARTBEAT_US ? patience_us : HEARTBEAT_US;
    struct my_parameters parameters = {.count = 0};
    my_parameters_int(&parameters, "period_ns", (int64_t)(period_us * 1000));
    return my_session_run(session, sql_tail_session, &parameters, NULL);
}

bool
my_replica_begin(struct my_session *session, struct mysql_client_log *log, const char *file,
                 uint32_t offset)
{
    *log = (struct mysql_client_log){
        .file = file,
        .offset = offset,
        .server_id = SERVER_ID_HIGH | (uint32_t)mysql_thread_id(session->mysql),
        .event_bytes_max = MY_REPLICA_EVENT_BYTES_MAX,
    };
    return mysql_client_log_begin(session->mysql, log) || came_to_an_end(session);
}

bool
my_replica_next(struct my_session *session, struct mysql_client_log *log, struct span *ret_event)
{
    return mysql_client_log_next(session->mysql, log, ret_event) || came_to_an_end(session);
}
