/* relay/mysql/check.h - `check` for a source's database. */
#ifndef RELAY_MYSQL_CHECK_H
#define RELAY_MYSQL_CHECK_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* `check` of struct database_kind. */
void check_mysql(struct report *report, const struct source_config *source);

#endif
