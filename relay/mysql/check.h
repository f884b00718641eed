/* relay/mysql/check.h - the part of `check` that is about a source's database. */
#ifndef RELAY_MYSQL_CHECK_H
#define RELAY_MYSQL_CHECK_H

#include "relay/config/config.h"
#include "relay/ports/report.h"

/* As `check` of struct database_kind says it. */
void check_mysql(struct report *report, const struct source_config *source);

#endif
