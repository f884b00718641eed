/* relay/config/tenants.h - the tenants of a template, from one answer of its query to the next. Names are the tenants' own
 * choice, perhaps: so none is trusted. Nothing here asks a server. */
#ifndef RELAY_CONFIG_TENANTS_H
#define RELAY_CONFIG_TENANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/config/config.h"

/* An answer with more rows than this is not believed at all. */
#define TENANTS_ROWS_MAX 100000
/* Names that no source can have: so many are kept, to be told; others are counted. */
#define TENANTS_UNUSABLE_MAX 100

/* A name that the query gave. */
struct tenant {
    char *name;    /* of an unusable one: made printable */
    bool usable;   /* as a name */
    bool missing;  /* the last answer has it not: if the next one has not either, its source ends */
    char *refusal; /* why it has no source; NULL: it has one, or was not tried yet */
    bool told;     /* the refusal was logged */
};

struct tenants {
    struct tenant *list; /* by name; unusable ones are the last */
    size_t count;
    size_t usable;
    size_t unusable; /* all, also those that are not in the list */
    size_t beyond;   /* names that discover_max leaves out */
    bool emptied;    /* the last answer had no name, although there are tenants: they stay */
};

struct tenants_change {
    size_t added;
    size_t removed;
};

/* Takes an answer. Those who are in it stay, and new ones come as long as there is room for them. Whoever is in it no more
 * ends with the second such answer in a row. One without any name ends nobody: rather than all tenants at once, the right to
 * see them has gone, which empties information_schema without an error. */
void tenants_learn(struct tenants *tenants, const struct source_template *template,
                   const struct database_names *answer, struct tenants_change *ret_change);

/* How many have no source: refused, or left out. */
size_t tenants_refused(const struct tenants *tenants);

/* The tenant has no source for this reason; or has one. */
void tenant_refuse(struct tenant *tenant, const char *why);
void tenant_accept(struct tenant *tenant);

/* Frees everything within. */
void tenants_done(struct tenants *tenants);

#endif
