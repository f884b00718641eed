#include "relay/postgres/kind.h"

#include "relay/postgres/admin.h"
#include "relay/postgres/check.h"
#include "relay/postgres/init.h"
#include "relay/postgres/source.h"

const struct database_kind database_postgres = {
    .name = "postgres",
    .source_new = source_postgres_new,
    .admin_open = admin_postgres_open,
    .check = check_postgres,
    .init = init_postgres,
    .init_print = init_postgres_print,
    .schema = "public",
};
