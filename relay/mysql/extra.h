/* relay/mysql/extra.h - columns that others have added to the outbox. They mean nothing to the relay, but a message
 * that was set aside must have their values again when it moves back. Until then outbox_held.extra has the values by
 * column name, as texts: bytes in hex. On the thread of a link. */
#ifndef RELAY_MYSQL_EXTRA_H
#define RELAY_MYSQL_EXTRA_H

#include <stddef.h>

#include "base/buffer.h"
#include "relay/mysql/session.h"

struct my_extra_column;

struct my_extra {
    struct my_extra_column *columns;
    size_t count;
};

/* Reads the present columns, without generated ones, which the server computes again. Once a transaction has read the
 * outbox, nobody can add or drop columns until it ends. For my_extra_done. False: see the session. */
bool my_extra_look(struct my_session *session, struct my_extra *ret_extra) MUST_CHECK;
void my_extra_done(struct my_extra *extra);

/* The following functions return parts of a statement, each element with a comma before it, and a zero byte at the end;
 * an empty string if there are no columns. The text is in `buffer`, whose content is replaced, and valid until the
 * buffer changes. */

/* The value for outbox_held.extra, from a row of "outbox". A value that the server cannot make into a text, because it
 * would be larger than max_allowed_packet, is an error in the strict mode of our sessions (1301), so no value is lost
 * silently. */
const char *my_extra_values(const struct my_extra *extra, struct buffer *buffer);
/* One digit for each column: 1 if outbox_held.extra, in a row of "held", has an entry for it, which may be NULL; else
 * 0. */
const char *my_extra_marks(const struct my_extra *extra, struct buffer *buffer);
/* The names of the columns whose mark is 1, and (the next function) their values as they were. */
const char *my_extra_names(const struct my_extra *extra, const char *marks, struct buffer *buffer);
const char *my_extra_restored(const struct my_extra *extra, const char *marks,
                              struct buffer *buffer);

#endif
