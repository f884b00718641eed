/* relay/mysql/schema.h - the objects that `init` creates: tables, constraints, indexes, trigger, view and procedure;
 * and which of them a database lacks. `check` reports these and `init` restores them. Foreground; may block. */
#ifndef RELAY_MYSQL_SCHEMA_H
#define RELAY_MYSQL_SCHEMA_H

#include "relay/mysql/session.h"

enum my_part_kind { MY_PART_TABLE, MY_PART_TRIGGER, MY_PART_VIEW, MY_PART_PROCEDURE };

/* One file of outbox-sql/mysql/schema/: a table, or another object. */
struct my_part {
    const char *name;
    enum my_part_kind kind;
    bool of_relay; /* only relays use it */
    const char *sql;
};

/* In the order in which they must be created; the last entry has no name. */
extern const struct my_part my_parts[];

/* Statements that insert the versions, to be run after everything else was created. */
extern const char *const my_version_sql;
extern const char *const my_relay_version_sql;

/* A missing or altered part, or a missing or altered line of a table: a constraint or an index. */
struct my_lack {
    const struct my_part *part;
    /* Points into part->sql, without indentation and comma; NULL: the whole part. */
    const char *line;
    size_t line_size;
    const char *state; /* "missing", "altered" or "disabled" */
};

#define MY_LACKS_MAX 64

struct my_lacks {
    struct my_lack items[MY_LACKS_MAX];
    size_t count;
};

/* Finds what is missing or altered. An object that the account may not see does not count, except a procedure with
 * `makes`: a server does not tell whether a procedure is missing or hidden. False: see the session. */
bool my_schema_look(struct my_session *session, bool makes, struct my_lacks *ret_lacks) MUST_CHECK;

/* For people: "the constraint outbox_key_1024_bytes of outbox". */
void my_lack_words(const struct my_lack *lack, char *ret_words, size_t size);

/* The name of the line, or of the part. It has no zero byte at its end: its size is *ret_size. */
const char *my_lack_name(const struct my_lack *lack, size_t *ret_size);
bool my_lack_is_index(const struct my_lack *lack);

#endif
