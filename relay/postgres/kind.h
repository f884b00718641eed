/* relay/postgres/kind.h - PostgreSQL, as a kind of database. */
#ifndef RELAY_POSTGRES_KIND_H
#define RELAY_POSTGRES_KIND_H

#include "relay/ports/database.h"

extern const struct database_kind database_postgres;

#endif
