/* relay/mysql/schema.h - what init makes: tables and what stands on them, and what of it is lacking in a database: for `check`,
 * which says it, and `init`, which puts it back. Foreground; may block. */
#ifndef RELAY_MYSQL_SCHEMA_H
#define RELAY_MYSQL_SCHEMA_H

#include "relay/mysql/session.h"

enum my_part_kind { MY_PART_TABLE, MY_PART_TRIGGER, MY_PART_VIEW, MY_PART_PROCEDURE };

/* One of outbox-sql/mysql/schema/: a table, or something of its own. */
struct my_part {
    const char *name;
    enum my_part_kind kind;
    bool of_relay; /* writers do not need it */
    const char *sql;
};

/* In the order in which they can be made; ends with one without a name. */
extern const struct my_part my_parts[];

/* Each puts the version into its table: after all else is there. */
extern const char *const my_version_sql;
extern const char *const my_relay_version_sql;

/* A part that is lacking, or a line of a table's that is: a constraint or an index. */
struct my_lack {
    const struct my_part *part;
    const char *line; /* of part->sql, without what stands around it; NULL: the whole part */
    size_t line_size;
    const char *state; /* "missing", "altered" or "disabled" */
};

#define MY_LACKS_MAX 64

struct my_lacks {
    struct my_lack items[MY_LACKS_MAX];
    size_t count;
};

/* What this account is not allowed to see does not count as lacking. With `makes` a procedure does: a server does not say
 * whether it is missing or hidden. False: see the session. */
bool my_schema_look(struct my_session *session, bool makes, struct my_lacks *ret_lacks) MUST_CHECK;

/* For people: "the constraint outbox_key_1024_bytes of outbox". */
void my_lack_words(const struct my_lack *lack, char *ret_words, size_t size);

/* The name of a line, or of the part; its size in *ret_size. */
const char *my_lack_name(const struct my_lack *lack, size_t *ret_size);
bool my_lack_is_index(const struct my_lack *lack);

#endif
