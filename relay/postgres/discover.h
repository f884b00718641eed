/* relay/postgres/discover.h - which tenants a template of sources has. */
#ifndef RELAY_POSTGRES_DISCOVER_H
#define RELAY_POSTGRES_DISCOVER_H

#include "relay/config/config.h"

/* The members of struct database_kind with these names. */
bool discover_postgres(const struct source_config *template, size_t rows_max,
                       struct database_names *ret_names, struct error *reterr);
bool postgres_tenant_fits(const char *dsn, const char *tenant, struct error *reterr);

#endif
