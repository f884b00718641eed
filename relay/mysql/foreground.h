/* relay/mysql/foreground.h - a session with a source's database for `check`, `init` and the operator's commands: they
 * run in the foreground and may block, unlike the source itself (source.h). */
#ifndef RELAY_MYSQL_FOREGROUND_H
#define RELAY_MYSQL_FOREGROUND_H

#include "relay/mysql/session.h"

/* Waits at most 10 s for each host, unless the dsn says otherwise. `writes`: skips a host whose server is read-only.
 * Afterwards times are in UTC, and each statement sees what was committed when it began. NULL with *reterr; else for
 * my_foreground_close. */
struct my_session *my_foreground_open(const struct source_config *source, bool writes,
                                      struct error *reterr);

/* The same; but a statement fails when nothing comes from the server for so long. */
struct my_session *my_foreground_open_limited(const struct source_config *source,
                                              unsigned silence_s, struct error *reterr);

/* Rolls back a transaction that is still open. Takes NULL. */
void my_foreground_close(struct my_session *session);

#endif
