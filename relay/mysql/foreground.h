/* relay/mysql/foreground.h - a session with a source's database for `check`, `init` and the operator's commands: they run in the
 * foreground and may block, unlike the source itself (source.h). */
#ifndef RELAY_MYSQL_FOREGROUND_H
#define RELAY_MYSQL_FOREGROUND_H

#include "relay/mysql/session.h"

/* Waits at most 10 s for each host, unless the dsn says otherwise. `writes`: a server that takes no changes will not do, the next
 * host is tried. Times are UTC from then on, and statements see what is committed when they begin. NULL with *reterr. */
struct my_session *my_foreground_open(const struct source_config *source, bool writes,
                                      struct error *reterr);

/* A transaction that is open is undone. Takes NULL. */
void my_foreground_close(struct my_session *session);

#endif
