/* relay/mysql/extra.h - columns that others have added to the outbox: they mean nothing to the relay, but a message that is set
 * aside has them again when it goes back. Until then outbox_held.extra has their values by name, as texts: bytes in hex.
 * On the thread of a link. */
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

/* Those that there are now, without generated ones, which the server makes again. Once a transaction has read the outbox,
 * nobody can add or drop columns until it ends. False: see the session. */
bool my_extra_look(struct my_session *session, struct my_extra *ret_extra) MUST_CHECK;
void my_extra_done(struct my_extra *extra);

/* Parts of a statement, each after a comma, with a zero byte at the end; empty where there are no columns. In `buffer`, whose
 * content is replaced. */

/* What becomes of outbox_held.extra, of a row of "outbox". A value of which the server cannot make a text, for it would be
 * larger than max_allowed_packet, is an error in the strict mode of our sessions (1301): nothing is lost unsaid. */
const char *my_extra_values(const struct my_extra *extra, struct buffer *buffer);
/* One digit for each column, 1 or 0: whether outbox_held.extra, of a row of "held", has a value for it, or NULL. */
const char *my_extra_marks(const struct my_extra *extra, struct buffer *buffer);
/* The names, and the values as they were, of the columns of which `marks` has a 1. */
const char *my_extra_names(const struct my_extra *extra, const char *marks, struct buffer *buffer);
const char *my_extra_restored(const struct my_extra *extra, const char *marks,
                              struct buffer *buffer);

#endif
