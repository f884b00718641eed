/* relay/check_postgres.h - the part of `check` that is about a source's database. */
#ifndef RELAY_CHECK_POSTGRES_H
#define RELAY_CHECK_POSTGRES_H

#include "relay/config.h"
#include "relay/ports/check.h"

void check_postgres(struct check *check, const struct source_config *source);

#endif
