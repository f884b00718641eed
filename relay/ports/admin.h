/* relay/ports/admin.h - what an operator may see and do in one source's database, whether a relay runs or not. For
 * foreground commands, in the main thread; may block. Texts in the results are valid as long as the result. They may
 * hold anything that an application or a broker wrote, even text that is not UTF-8: clean them before they go to a
 * terminal (api/text.h).
 *
 * What returns bool is false with *reterr if it failed. Then the result is neither to be read nor to be freed, and
 * nothing but admin_close may be called for this admin.
 *
 * Times are the database's, in microseconds since 1970, as is the `now` that comes with them: so an age does not depend
 * on the clock of the operator's machine. */
#ifndef RELAY_PORTS_ADMIN_H
#define RELAY_PORTS_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"

#define ADMIN_NO_TIME INT64_MIN /* no time is known, or it never comes */
#define ADMIN_MANY 1000000      /* counting stops at ADMIN_MANY + 1 */

struct admin_ops;

/* One database. Each kind opens its own (admin_open in database.h) and has this as the first member. */
struct admin {
    const struct admin_ops *ops; /* admin_ops.h */
};
void admin_close(struct admin *admin); /* takes NULL */

/* Owns the memory into which the texts of a result point. */
struct admin_rows {
    void *owner;
    void (*free_owner)(void *owner);
};

/* Also takes rows that are all zero. */
void admin_rows_free(struct admin_rows *rows);

/* A message as an operator names it: by the id of its row, or by its message id. */
struct admin_name {
    const char *text;
    bool is_uuid;
    char uuid[UUID_TEXT_BYTES];
};

/* False if it is neither. */
bool admin_name_parse(const char *text, struct admin_name *ret_name) MUST_CHECK;

/* Held messages by state. */
struct admin_counts {
    uint64_t scheduled;
    uint64_t retrying;
    uint64_t waiting;
    uint64_t dead;
};
uint64_t admin_counts_sum(const struct admin_counts *counts);

#endif
