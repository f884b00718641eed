/* relay/kinds/kinds.h - the kinds of database that this relay knows (relay/ports/database.h). */
#ifndef RELAY_KINDS_KINDS_H
#define RELAY_KINDS_KINDS_H

#include "relay/ports/database.h"

/* The first is meant where none is named. Ends with NULL. */
extern const struct database_kind *const database_kinds[];

#endif
