/* relay/mysql/discover.h - which tenants a template of sources has. */
#ifndef RELAY_MYSQL_DISCOVER_H
#define RELAY_MYSQL_DISCOVER_H

#include "relay/config/config.h"

/* The member of struct database_kind with this name. */
bool discover_mysql(const struct source_config *template, size_t rows_max,
                    struct database_names *ret_names, struct error *reterr);

#endif
