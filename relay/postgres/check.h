/* relay/postgres/check.h - `check` for a source's database. */
#ifndef RELAY_POSTGRES_CHECK_H
#define RELAY_POSTGRES_CHECK_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

void check_postgres(struct report *report, const struct source_config *source);

#endif
