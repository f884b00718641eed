/* relay/mysql/tail.h - whether a server's binary log can be read, and if not, what an administrator must do. The source
 * reports the first lack; `check` and `init` report all. May block. */
#ifndef RELAY_MYSQL_TAIL_H
#define RELAY_MYSQL_TAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "relay/mysql/log_end.h"
#include "relay/mysql/session.h"

#define MY_TAIL_WORD_BYTES 20 /* of the value of a setting; longer ones are cut */

struct my_tail_facts {
    bool is_mariadb;
    bool has_log; /* log_bin */
    /* The values of binlog_format and binlog_row_image; "": the server does not have the setting. */
    char format[MY_TAIL_WORD_BYTES];
    char image[MY_TAIL_WORD_BYTES];
    bool has_checksums;
    bool lacks_others; /* a node of a cluster whose log lacks the writes of other nodes */
    struct my_log_end end;
};

/* schema: of the outbox, by its name in information_schema. False: see the session. */
bool my_tail_look(struct my_session *session, const char *schema,
                  struct my_tail_facts *ret_facts) MUST_CHECK;

/* Calls tell() for each reason why the log can't be read, with what is wrong and what to do about it. Returns how many
 * there are. */
size_t my_tail_lacks(const struct my_tail_facts *facts, const char *schema,
                     void (*tell)(void *context, const char *words), void *context);

#endif
