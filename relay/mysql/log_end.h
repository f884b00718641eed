/* relay/mysql/log_end.h - asks where the server's binary log ends. The position is between two groups: the server holds
 * the lock of the log while it answers, and writes whole groups under that lock (binlog.h). */
#ifndef RELAY_MYSQL_LOG_END_H
#define RELAY_MYSQL_LOG_END_H

#include "relay/mysql/position.h"
#include "relay/mysql/session.h"
#include "relay/ports/log_position.h"

struct my_log_end {
    log_position position; /* 0: there is no log, its files are not numbered, or is_refused */
    bool is_refused;       /* the account may not ask */
    struct my_log log;
    /* The server does not log this schema (binlog_do_db, binlog_ignore_db). */
    bool is_left_out;
};

/* schema: its name in information_schema; NULL: is_left_out is not determined. False: see the session. A refusal for
 * lack of a privilege is not a failure. */
bool my_log_end_ask(struct my_session *session, const char *schema,
                    struct my_log_end *ret_end) MUST_CHECK;

/* How many bytes the log has behind this position. Its files are listed, which the server does by opening each, only if the
 * position is not in the last one. *ret_known is false if the account may not ask, or there is no such position in the log. False:
 * see the session. */
bool my_log_end_behind(struct my_session *session, log_position position, bool *ret_known,
                       uint64_t *ret_bytes) MUST_CHECK;

/* True if the comma-separated list contains the name. */
bool my_log_end_lists(const char *names, const char *name);

#endif
