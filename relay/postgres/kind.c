#include "relay/postgres/kind.h"

#include "relay/postgres/admin.h"
#include "relay/postgres/check.h"
#include "relay/postgres/config.h"
#include "relay/postgres/discover.h"
#include "relay/postgres/init.h"
#include "relay/postgres/source.h"

const struct database_kind database_postgres = {
    .name = "postgres",
    .dsn_words = "a libpq connection string: `host=db dbname=shop user=relay` or "
                 "`postgresql://relay@db/shop`.",
    .dsn_take = postgres_dsn_take,
    .dsn_place = postgres_dsn_place,
    .dsn_server = postgres_dsn_server,
    .dsn_advise = postgres_dsn_advise,
    .dsn_has_password = postgres_dsn_has_password,
    .tenant_fits = postgres_tenant_fits,
    .keys = postgres_keys,
    .keys_check = postgres_keys_check,
    .source_new = source_postgres_new,
    .admin_open = admin_postgres_open,
    .discover = discover_postgres,
    .check = check_postgres,
    .init = init_postgres,
    .init_print = init_postgres_print,
    .init_print_roles = init_postgres_print_roles,
    .schema = "public",
};
