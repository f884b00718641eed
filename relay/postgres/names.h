/* relay/postgres/names.h - what the replication slot and the publication of a source are called: the
 * relay, `init` and `check` must agree on it. */
#ifndef RELAY_POSTGRES_NAMES_H
#define RELAY_POSTGRES_NAMES_H

#include "base/error.h"

/* A name of the server's, with its zero byte. */
#define POSTGRES_NAME_BYTES 64

/* `configured` if it is not NULL, else outbox_relay_DATABASE_SCHEMA: lower case, every byte that a
 * slot's name can't have replaced by _, and cut to what a name may have. Slots are the whole
 * server's, hence the database in it. */
void postgres_slot_name(const char *configured, const char *database, const char *schema,
                        char ret_name[POSTGRES_NAME_BYTES]);

/* Likewise outbox_relay_SCHEMA: a publication is one database's. */
void postgres_publication_name(const char *configured, const char *schema,
                               char ret_name[POSTGRES_NAME_BYTES]);

/* False with *reterr if the server would not take such a name. */
bool postgres_slot_check(const char *name, struct error *reterr) MUST_CHECK;
bool postgres_publication_check(const char *name, struct error *reterr) MUST_CHECK;

#endif
