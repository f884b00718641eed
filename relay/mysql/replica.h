/* relay/mysql/replica.h - a session to which the server sends its binary log, as to a replica. After my_replica_begin
 * it is of no other use. On the session's thread; all functions return false with the reason in the session. */
#ifndef RELAY_MYSQL_REPLICA_H
#define RELAY_MYSQL_REPLICA_H

#include "base/error.h"
#include "base/mysql/client.h"
#include "base/span.h"
#include "relay/mysql/session.h"

/* The largest event; a larger one is an error. */
#define MY_REPLICA_EVENT_BYTES_MAX ((size_t)256 << 20)

/* Tells the server what the session understands, and that it must report the end of its log every 0.25 s while it is
 * idle. */
bool my_replica_prepare(struct my_session *session) MUST_CHECK;

/* Asks for the log from an offset in a file. *log and `file` must stay valid; *log is for mysql_client_log_done after
 * the session is closed. */
bool my_replica_begin(struct my_session *session, struct mysql_client_log *log, const char *file,
                      uint32_t offset) MUST_CHECK;

/* Waits for the next event, which is valid until the next call. Only the first one shows that the server sends the
 * log. */
bool my_replica_next(struct my_session *session, struct mysql_client_log *log,
                     struct span *ret_event) MUST_CHECK;

#endif
