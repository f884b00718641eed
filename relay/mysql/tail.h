/* relay/mysql/tail.h - whether the binary log of a server can be read, and of what is lacking what an administrator has to run:
 * for the source, which tells the first of it, and for `check` and `init`, which tell all. May block. */
#ifndef RELAY_MYSQL_TAIL_H
#define RELAY_MYSQL_TAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "relay/mysql/log_end.h"
#include "relay/mysql/session.h"

#define MY_TAIL_WORD_BYTES 20 /* of a setting; longer ones are cut */

struct my_tail_facts {
    bool is_mariadb;
    bool has_log; /* log_bin */
    char format
        [MY_TAIL_WORD_BYTES]; /* this and the next in the server's words; "": it has no such setting */
    char image[MY_TAIL_WORD_BYTES];
    bool has_checksums;
    bool lacks_others; /* a node of a cluster, whose log lacks what other nodes write */
    struct my_log_end end;
};

/* schema: of the outbox, as it is called in information_schema. */
bool my_tail_look(struct my_session *session, const char *schema,
                  struct my_tail_facts *ret_facts) MUST_CHECK;

/* Tells of everything for which the log can't be read, what it is and what to do about it: one call each. Returns how
 * many. */
size_t my_tail_lacks(const struct my_tail_facts *facts, const char *schema,
                     void (*tell)(void *context, const char *words), void *context);

#endif
