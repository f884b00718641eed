/* relay/mysql/replica.h - a session to which the server sends its binary log, as to a replica. From my_replica_begin on it is of
 * no other use. On the session's thread; all give false with the reason in the session. */
#ifndef RELAY_MYSQL_REPLICA_H
#define RELAY_MYSQL_REPLICA_H

#include "base/error.h"
#include "base/mysql/client.h"
#include "base/span.h"
#include "relay/mysql/session.h"

/* A larger event ends the sending. */
#define MY_REPLICA_EVENT_BYTES_MAX ((size_t)256 << 20)

/* Says what the session understands, and that an idle server shall say every 0.25 s where its log ends. */
bool my_replica_prepare(struct my_session *session) MUST_CHECK;

/* Asks for the log from a file and an offset on. *log must stay, and is given to mysql_client_log_done when the session is
 * closed. */
bool my_replica_begin(struct my_session *session, struct mysql_client_log *log, const char *file,
                      uint32_t offset) MUST_CHECK;

/* Waits for the next event, which is good until the next call. The first one tells whether the server sends any. */
bool my_replica_next(struct my_session *session, struct mysql_client_log *log,
                     struct span *ret_event) MUST_CHECK;

#endif
