/* relay/mysql/log_end.h - where the server's binary log ends: between two of its groups, as the server holds the lock of
 * the log for the answer, under which groups are written whole (binlog.h). */
#ifndef RELAY_MYSQL_LOG_END_H
#define RELAY_MYSQL_LOG_END_H

#include "relay/mysql/position.h"
#include "relay/mysql/session.h"
#include "relay/ports/log_position.h"

struct my_log_end {
    log_position position; /* 0: there is no log, or none of numbered files, */
    bool is_refused;       /* or it may not be asked */
    struct my_log log;
    /* The server was told to leave the schema out of it (binlog_do_db, binlog_ignore_db). */
    bool is_left_out;
};

/* schema: as it is called in information_schema; NULL: whether it is left out is not looked at. False: the session says
 * why. */
bool my_log_end_ask(struct my_session *session, const char *schema,
                    struct my_log_end *ret_end) MUST_CHECK;

/* Whether the name is among those of the list, with commas between. */
bool my_log_end_lists(const char *names, const char *name);

#endif
