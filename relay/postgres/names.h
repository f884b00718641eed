/* relay/postgres/names.h - the names of a source's replication slot and publication, on which the relay, `init` and
 * `check` must agree. */
#ifndef RELAY_POSTGRES_NAMES_H
#define RELAY_POSTGRES_NAMES_H

#include "base/error.h"

/* Size of a name on the server, with its zero byte. */
#define POSTGRES_NAME_BYTES 64

/* `configured` if it is not NULL, else outbox_relay_DATABASE_SCHEMA: in lower case, with _ for every byte that a slot's
 * name can't have, and cut to the longest name. The database is in it because slots belong to the whole server. */
void postgres_slot_name(const char *configured, const char *database, const char *schema,
                        char ret_name[POSTGRES_NAME_BYTES]);

/* In the same way outbox_relay_SCHEMA: a publication belongs to one database. */
void postgres_publication_name(const char *configured, const char *schema,
                               char ret_name[POSTGRES_NAME_BYTES]);

/* False with *reterr if the server would refuse the name. */
bool postgres_slot_check(const char *name, struct error *reterr) MUST_CHECK;
bool postgres_publication_check(const char *name, struct error *reterr) MUST_CHECK;

#endif
